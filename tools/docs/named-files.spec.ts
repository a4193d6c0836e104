import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const ROOT = resolve(__dirname, '../..');
const LIBRARY = 'libs/reliable-mq/src';
/** What readers of the code go by. Decisions keep the names of their day. */
const PAGES = [
  'CONTRIBUTING.md',
  'docs/architecture.md',
  'docs/guarantees.md',
  'docs/model/README.md',
  'docs/production.md',
  'docs/scaling.md',
  'docs/zh-CN/architecture.md',
  'docs/zh-CN/guarantees.md',
  'docs/zh-CN/production.md',
  'docs/zh-CN/scaling.md',
];

const sources = readdirSync(join(ROOT, LIBRARY), { recursive: true, encoding: 'utf8' });

/** A path from the root, below the library's source, or of its last parts alone. */
function exists(path: string): boolean {
  return (
    [path, join(LIBRARY, path)].some((one) => existsSync(join(ROOT, one))) ||
    sources.some((file) => file.endsWith(`/${path}`))
  );
}

describe('the files that pages name', () => {
  it.each(PAGES)('are there: %s', (page) => {
    const text = readFileSync(join(ROOT, page), 'utf8').replace(/```[\s\S]*?```/g, '');
    const named = [...text.matchAll(/`([\w./-]+\.(?:ts|mjs))`/g)].map(([, path = '']) => path);

    expect([...new Set(named)].filter((path) => !/^\./.test(path) && !exists(path))).toEqual([]);
  });
});
