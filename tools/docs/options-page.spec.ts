import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { documentedOptions, optionsPage } from './options-page';

describe('the page of options', () => {
  it('is what the comments in options.ts say', () => {
    expect(readFileSync(join(__dirname, '../../docs/options.md'), 'utf8')).toBe(optionsPage());
  });

  it('describes every option', () => {
    expect(documentedOptions().filter(({ text }) => text === '')).toEqual([]);
  });
});
