import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import { en, type Texts } from './en';
import { formatFor, type Format } from './format';
import { languageOf, type Language } from './language';
import { zh } from './zh';

export interface Words {
  readonly language: Language;
  readonly t: Texts;
  readonly f: Format;
}

const LANGUAGES: Readonly<Record<Language, Words>> = {
  en: { language: 'en', t: en, f: formatFor('en') },
  'zh-CN': { language: 'zh-CN', t: zh, f: formatFor('zh-CN') },
};

export function wordsOf(language: Language): Words {
  return LANGUAGES[language];
}

export const WordsContext = createContext<Words>(LANGUAGES[languageOf([])]);

export function useWords(): Words {
  return useContext(WordsContext);
}
