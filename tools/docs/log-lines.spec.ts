import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const ROOT = resolve(__dirname, '../..');
const LIBRARY = join(ROOT, 'libs/reliable-mq/src');
const PAGES = ['docs/production.md', 'docs/zh-CN/production.md'];

const TEXT = String.raw`\s*(?:'((?:[^'\\]|\\.)*)'|"([^"]*)"|` + '`([^`]*)`)';
/** A call of a logger with a constant text, and the two texts of an outage. */
const LOGGED = new RegExp(String.raw`(?:\b(?:log|logger)\.(?:error|warn|log)\(|\b(?:begins|ends):)${TEXT}`, 'g');

const sources = readdirSync(LIBRARY, { recursive: true, encoding: 'utf8' })
  .filter((file) => /(?<!\.spec|\.fixture)\.ts$/.test(file))
  .map((file) => readFileSync(join(LIBRARY, file), 'utf8'));

/** Lines that the library logs, with … for what varies. */
const logged = sources.flatMap((source) =>
  [...source.matchAll(LOGGED)].map(([, single, double, template]) =>
    (single ?? double ?? template ?? '').replace(/\$\{[^}]*\}/g, '…'),
  ),
);

/** The code of a page's tables of log lines, and of the remarks beside them. */
function explained(page: string): readonly string[] {
  const text = readFileSync(join(ROOT, page), 'utf8');
  const [section = ''] = /^## (?:What the log says|日志)\n[\s\S]*?(?=^## )/m.exec(text) ?? [];
  return [...section.matchAll(/`([^`\n]+)`/g)].map(([, line = '']) => line);
}

/** Long ones may be cut: `Transactions of a handler fail …`. */
const begins = (whole: string, cut: string): boolean => whole.startsWith(cut.replace(/ ?…$/, ''));

describe.each(PAGES)('the log, by %s', (page) => {
  const lines = explained(page);

  it('explains every line that the library logs', () => {
    expect(logged.length).toBeGreaterThan(40);
    expect(logged.filter((line) => !lines.some((one) => begins(line, one)))).toEqual([]);
  });

  it('explains no line that is not logged', () => {
    const inTables = lines.filter((line) => /^[A-Z][a-z]|^RabbitMQ/.test(line) && line.includes(' '));
    const all = sources.join('\n');

    expect(inTables.filter((line) => !all.includes(line.split('…')[0]?.trim() ?? ''))).toEqual([]);
  });
});
