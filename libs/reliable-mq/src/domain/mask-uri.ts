/** The URI (or any text with URIs in it) with passwords replaced by `***`. */
export function maskUri(text: string): string {
  return text.replace(/(\w+:\/\/[^\s:/@]*):[^\s@]*@/g, '$1:***@');
}
