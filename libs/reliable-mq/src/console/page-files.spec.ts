import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PageFiles } from './page-files';

describe("the page's files", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'console-page-'));
    const html = '<link href="console.css" nonce="__NONCE__" /><script src="console.js" nonce="__NONCE__"></script>';
    writeFileSync(join(folder, 'index.html'), html);
    writeFileSync(join(folder, 'console.js'), 'let a;');
    writeFileSync(join(folder, 'console.css'), 'a {}');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('are found, or not', () => {
    expect(PageFiles.find(join(folder, 'nothing'))).toBeUndefined();
    expect(PageFiles.find(folder)).toBeDefined();
  });

  it('have a nonce for each answer, and names that change with what is in them, seen from where the page is', () => {
    const first = PageFiles.find(folder)!.page('mq/');
    const form = new RegExp(
      `^<link href="mq/console\\.css\\?v=[0-9a-f]{12}" nonce="(.{24})" /><script src="mq/console\\.js\\?v=([0-9a-f]{12})" nonce="\\1"></script>$`,
    );
    const [, nonce, hash] = form.exec(first.html) ?? [];
    expect(nonce).toBe(first.nonce);
    writeFileSync(join(folder, 'console.js'), 'let b;');
    const second = PageFiles.find(folder)!.page('');
    expect(second.nonce).not.toBe(nonce);
    expect(second.html).toContain('src="console.js?v=');
    expect(second.html).not.toContain(hash);
  });

  it('are told by their names, and nothing else is', () => {
    const files = PageFiles.find(folder)!;
    expect(files.file('console.js')).toEqual({ text: 'let a;', type: 'text/javascript; charset=utf-8' });
    for (const name of ['index.html', '../package.json', '__proto__', 'constructor', ''])
      expect(files.file(name)).toBeUndefined();
  });
});
