/**
 * A URI, or any text with URIs in it, with its passwords replaced by `***`. A password that was written without escaping may
 * hold `@` and `/`, so everything up to the last `@` of the word is taken for it: too much is hidden rather than too little.
 */
export function maskUri(text: string): string {
  return text
    .replace(/([a-z][\w+.-]*:\/\/[^\s:/@]*):(?:(?!:\/\/)\S)*@/gi, '$1:***@')
    .replace(/([?&](?:password|sslpassword|passphrase)=)[^\s&"'`]*/gi, '$1***');
}

/** The same without any password, for a command that somebody is to run: the program asks for it, or knows it. */
export function withoutPassword(uri: string): string {
  return maskUri(uri)
    .replace(':***@', '@')
    .replace(/([?&])(?:\w+=\*\*\*(?:&|$))+/g, '$1')
    .replace(/[?&]$/, '');
}
