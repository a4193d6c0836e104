import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';

const ROOT = resolve(__dirname, '../..');
const QUICK_START = join(ROOT, 'docs/quick-start');
const MAX_WORDS = 30;

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

function filesBelow(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesBelow(path) : [path];
  });
}

/** Code of a page by the file's name that stands in bold above it. */
function codeByFile(page: string): Readonly<Record<string, string>> {
  const blocks = page.matchAll(/^\*\*`([^`]+)`\*\*\n\n```\w+\n([\s\S]*?)```$/gm);
  return Object.fromEntries([...blocks].map(([, file = '', code = '']) => [file, code]));
}

/** Comments of a translated page are translated too. */
const withoutComments = (code: string): string => code.replace(/ *\/\/ .*$/gm, '');

/** What a page says in sentences: no code, tables, headings or targets of links. */
function sentencesOf(page: string): readonly string[] {
  return page
    .replace(/```[\s\S]*?```|<!--[\s\S]*?-->/g, '\n\n')
    .split(/\n\n|\n(?=\s*(?:[-*]|\d+\.) )/)
    .filter((block) => !/^\s*[#|]/.test(block))
    .map((block) => block.replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/`[^`]*`/g, 'code'))
    .flatMap((block) => block.split(/(?<=[.:?!…;])\**\s+(?=\S)/))
    .map((sentence) => sentence.replace(/\s+/g, ' ').trim());
}

const words = (sentence: string): number => sentence.split(' ').filter((word) => /\p{L}|\d/u.test(word)).length;

describe('README.md', () => {
  const files = filesBelow(QUICK_START).map(
    (path) => [relative(QUICK_START, path), readFileSync(path, 'utf8')] as const,
  );

  it('shows every file of the quick start as it is', () => {
    expect(codeByFile(read('README.md'))).toEqual(Object.fromEntries(files));
  });

  it('shows the same code in Chinese', () => {
    const shown = Object.entries(codeByFile(read('README.zh-CN.md')));
    const plain = (entries: readonly (readonly [string, string])[]): unknown =>
      Object.fromEntries(entries.map(([file, code]) => [file, withoutComments(code)]));

    expect(plain(shown)).toEqual(plain(files));
  });

  it(`has no sentence of more than ${MAX_WORDS} words`, () => {
    const sentences = sentencesOf(read('README.md'));

    expect(sentences.length).toBeGreaterThan(50);
    expect(sentences.filter((sentence) => words(sentence) > MAX_WORDS)).toEqual([]);
  });
});
