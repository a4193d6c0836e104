const NAMES_OF_CONTROLS = 0x2400;

/**
 * Text of others as it may be shown: what a reader would not see, or what would turn the line around, stands as a sign for itself.
 * Line ends and tabs stay.
 */
export function visible(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (sign) => {
    const code = sign.codePointAt(0) ?? 0;
    if (sign === '\n' || sign === '\t') return sign;
    return code < 0x20
      ? String.fromCharCode(NAMES_OF_CONTROLS + code)
      : `⟨U+${code.toString(16).toUpperCase().padStart(4, '0')}⟩`;
  });
}

/** The start of a text, cut between two characters; undefined: it fits. */
export function clipped(text: string, most: number): string | undefined {
  if (text.length <= most) return undefined;
  const last = text.charCodeAt(most - 1);
  const splitsPair = last >= 0xd800 && last <= 0xdbff;
  return text.slice(0, splitsPair ? most - 1 : most);
}
