const WIDTH = 80;
/** Without a terminal a progress line is printed this often at most, in milliseconds. */
const PLAIN_PROGRESS_EVERY_MS = 2_000;
const BAR_WIDTH = 30;

/** Tells the story in lines of at most 80 columns; on a terminal with colours and a moving progress bar. */
export class Narrator {
  /** Left out wherever it occurs: the beginning of this run's names, which is of no use to the reader. */
  omit = '';
  private readonly colours: boolean;
  private barIsShown = false;
  private lastPlainProgress = 0;
  private lastProgress = '';

  constructor(private readonly out: NodeJS.WriteStream) {
    this.colours = out.isTTY && process.env.NO_COLOR === undefined;
    // A reader that went away (`| head`) must not keep the demo from cleaning up.
    out.on('error', () => undefined);
  }

  title(text: string): void {
    this.line('');
    this.line(this.paint(1, text));
  }

  /** A paragraph, broken into lines. */
  say(text: string): void {
    for (const line of this.wrap(text, WIDTH - 2)) this.line(`  ${line}`);
  }

  /** Something to be copied: not broken into lines. */
  command(text: string): void {
    this.line(`  ${text}`);
  }

  /** One step of an event's way: when, where, what. */
  step(ms: number, who: string, what: string): void {
    const indent = 22;
    const [first = '', ...more] = this.wrap(what, WIDTH - indent);
    this.line(
      `  ${this.paint(2, `${Math.round(ms)} ms`.padStart(8))}  ${this.paint(who === 'order' ? 36 : 35, who.padEnd(9))} ${first}`,
    );
    for (const line of more) this.line(' '.repeat(indent) + line);
  }

  row(...cells: readonly (string | number)[]): void {
    this.line(
      `  ${cells.map((cell, index) => (index === 0 ? String(cell).padEnd(14) : String(cell).padStart(11))).join(' ')}`,
    );
  }

  good(text: string): void {
    this.line(`  ${this.paint(32, text)}`);
  }

  bad(text: string): void {
    for (const line of this.wrap(text, WIDTH - 2)) this.line(`  ${this.paint(31, line)}`);
  }

  progress(label: string, done: number, total: number): void {
    const share = total === 0 ? 1 : done / total;
    const filled = Math.round(share * BAR_WIDTH);
    const bar = `[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}]`;
    const text = `  ${label.padEnd(10)} ${bar} ${done}/${total}`;
    if (text === this.lastProgress) return;
    this.lastProgress = text;
    if (this.out.isTTY) {
      this.out.write(`\r\x1b[K${text}${done === total ? '\n' : ''}`);
      this.barIsShown = done !== total;
      return;
    }
    const now = performance.now();
    if (done !== total && now - this.lastPlainProgress < PLAIN_PROGRESS_EVERY_MS) return;
    this.lastPlainProgress = now;
    this.line(text);
  }

  private line(text: string): void {
    if (this.barIsShown) this.out.write('\n');
    this.barIsShown = false;
    this.out.write(`${text}\n`);
  }

  private paint(code: number, text: string): string {
    return this.colours ? `\x1b[${code}m${text}\x1b[0m` : text;
  }

  private wrap(text: string, width: number): string[] {
    const lines: string[] = [];
    let line = '';
    for (const word of (this.omit ? text.replaceAll(this.omit, '') : text).split(/\s+/)) {
      if (line !== '' && line.length + 1 + word.length > width) {
        lines.push(line);
        line = '';
      }
      line = line === '' ? word : `${line} ${word}`;
    }
    return [...lines, line];
  }
}
