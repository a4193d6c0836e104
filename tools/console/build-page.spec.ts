import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { buildPage, PAGE_FILES } from './build-page';

const MOST_BYTES = 60 * 1_024;

describe('the console’s page', () => {
  const folder = mkdtempSync(join(tmpdir(), 'reliable-mq-page-'));
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');

  beforeAll(() => buildPage(folder));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('is three files, together below 60 kB as they are sent', () => {
    expect(readdirSync(folder).sort()).toEqual([...PAGE_FILES].sort());
    const bytes = PAGE_FILES.reduce((sum, name) => sum + gzipSync(read(name)).length, 0);
    expect(bytes).toBeLessThan(MOST_BYTES);
    expect(bytes).toBeGreaterThan(10_000);
  });

  it('has a nonce on its script and its style, nothing inline, and no place elsewhere', () => {
    const html = read('index.html');
    expect(
      html.match(/<(script|style|link rel="stylesheet")[^>]*>/g)?.every((tag) => tag.includes('nonce="__NONCE__"')),
    ).toBe(true);
    expect(html).not.toMatch(/\sstyle=|\son\w+=|<style|<script[^>]*>[^<]/);
    expect(html).not.toMatch(/(src|href)="(\/|(?!data:image)\w+:)/);
    expect(read('console.css')).not.toMatch(/url\(|@import/);
    expect(read('console.js')).not.toMatch(/\beval\(|new Function\(/);
  });

  it('is replaced where one is', () => {
    buildPage(folder);
    expect(readdirSync(folder)).toHaveLength(PAGE_FILES.length);
  });
});
