export type Language = 'en' | 'zh-CN';

export const LANGUAGE_NAMES: Readonly<Record<Language, string>> = { en: 'English', 'zh-CN': '中文' };

const KEY = 'reliable-mq.language';

function isLanguage(value: unknown): value is Language {
  return typeof value === 'string' && Object.hasOwn(LANGUAGE_NAMES, value);
}

/** The first that the page has, of those that the reader wants. */
export function languageOf(wanted: readonly string[]): Language {
  for (const one of wanted) {
    if (/^zh\b/i.test(one)) return 'zh-CN';
    if (/^en\b/i.test(one)) return 'en';
  }
  return 'en';
}

/** What was chosen here before, or what the browser asks for. A browser may refuse storage. */
export function chosenLanguage(): Language {
  try {
    const kept = localStorage.getItem(KEY);
    if (isLanguage(kept)) return kept;
  } catch {
    // then the browser's own
  }
  return languageOf(navigator.languages);
}

export function keepLanguage(language: Language): void {
  try {
    localStorage.setItem(KEY, language);
  } catch {
    // chosen for this page alone
  }
}
