import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Beside the compiled code. In this repository the page is built there too. */
const FOLDER = join(__dirname, 'public');
const PAGE = 'index.html';
/** What a page of the browser asks for; by name, so that no path leads anywhere else. */
const TYPES: Readonly<Record<string, string>> = {
  'console.js': 'text/javascript; charset=utf-8',
  'console.css': 'text/css; charset=utf-8',
};
/** What the built page has where its nonce goes. */
const NONCE_PLACE = '__NONCE__';
/** What `PageFiles` puts where the folder of its files goes. */
const FOLDER_PLACE = '__FOLDER__';
const NONCE_BYTES = 16;

export interface PageFile {
  readonly text: string;
  readonly type: string;
}

export interface Page {
  readonly html: string;
  readonly nonce: string;
}

/** The page as it was built: `index.html`, `console.js` and `console.css`. */
export class PageFiles {
  private readonly files: ReadonlyMap<string, PageFile>;
  private readonly html: string;

  private constructor(folder: string) {
    const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
    const names = Object.keys(TYPES).filter((name) => existsSync(join(folder, name)));
    this.files = new Map(names.map((name) => [name, { text: read(name), type: TYPES[name] ?? '' }]));
    this.html = names.reduce(
      (html, name) => html.replaceAll(`"${name}"`, `"${FOLDER_PLACE}${name}?v=${this.hashOf(name)}"`),
      read(PAGE),
    );
  }

  /** @returns undefined when the page was not built */
  static find(folder = FOLDER): PageFiles | undefined {
    return existsSync(join(folder, PAGE)) ? new PageFiles(folder) : undefined;
  }

  /**
   * With a nonce of its own.
   * @param folder of its files, as seen from its URL: empty, or with a slash at its end
   */
  page(folder: string): Page {
    const nonce = randomBytes(NONCE_BYTES).toString('base64');
    return { html: this.html.replaceAll(NONCE_PLACE, nonce).replaceAll(FOLDER_PLACE, folder), nonce };
  }

  file(name: string): PageFile | undefined {
    return this.files.get(name);
  }

  /** So that a browser keeps a file for good, and asks for another one when there is. */
  private hashOf(name: string): string {
    return createHash('sha256')
      .update(this.files.get(name)?.text ?? '')
      .digest('hex')
      .slice(0, 12);
  }
}
