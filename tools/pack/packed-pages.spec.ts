import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { PACKED_PAGES } from './pack-library';

const ROOT = resolve(__dirname, '../..');

interface Link {
  readonly page: string;
  readonly target: string;
}

/** Links of Markdown to files and to headings; what has a scheme leads out of the package. */
function linksOf(page: string): readonly Link[] {
  const text = readFileSync(join(ROOT, page), 'utf8').replace(/```[\s\S]*?```|`[^`\n]*`/g, '');
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => ({ page, target }))
    .filter(({ target }) => !/^[a-z]+:/.test(target));
}

function pagesOf(path: string): string[] {
  if (!statSync(join(ROOT, path)).isDirectory()) return path.endsWith('.md') ? [path] : [];
  return readdirSync(join(ROOT, path)).flatMap((name) => pagesOf(join(path, name)));
}

/** As GitHub and most viewers make them. */
function anchorsOf(path: string): readonly string[] {
  const headings =
    readFileSync(path, 'utf8')
      .replace(/```[\s\S]*?```/g, '')
      .match(/^#+ .*$/gm) ?? [];
  return headings.map((heading) =>
    heading
      .replace(/^#+ /, '')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
      .replaceAll(' ', '-'),
  );
}

describe('the pages in the package', () => {
  const links = PACKED_PAGES.flatMap(pagesOf).flatMap(linksOf);

  it('link to each other, and nowhere that is not packed', () => {
    const dead = links.filter(({ page, target }) => {
      const [path = '', anchor] = decodeURI(target).split('#');
      const file = path === '' ? join(ROOT, page) : resolve(ROOT, dirname(page), path);
      const isPacked = PACKED_PAGES.includes(relative(ROOT, file).split('/')[0] ?? '');
      if (!isPacked || !existsSync(file)) return true;
      return anchor !== undefined && !anchorsOf(file).includes(anchor);
    });
    expect(links.length).toBeGreaterThan(50);
    expect(dead).toEqual([]);
  });
});
