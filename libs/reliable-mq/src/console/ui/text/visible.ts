/**
 * Text of others as it may be shown: what a reader would not see, or what would turn the line around, stands as a sign for itself.
 * Line ends and tabs stay.
 */
export function visible(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (sign) => {
    if (sign === '\n' || sign === '\t') return sign;
    return `⟨U+${(sign.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}⟩`;
  });
}

/** The start of a text, cut between two characters; undefined: it fits. */
export function clipped(text: string, most: number): string | undefined {
  if (text.length <= most) return undefined;
  const last = text.charCodeAt(most - 1);
  const splitsPair = last >= 0xd800 && last <= 0xdbff;
  return text.slice(0, splitsPair ? most - 1 : most);
}
