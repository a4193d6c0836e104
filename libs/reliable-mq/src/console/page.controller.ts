import { Get, Inject, Injectable, Req, Res } from '@nestjs/common';
import { Access } from './access';
import type { ConsoleRequest, ResolvedConsoleOptions } from './console-options';
import { CONSOLE_OPTIONS } from './console-tokens';
import { PageFiles } from './page-files';
import { refusalOf } from './console-problem';
import { Replies } from './replies';

const TEXT = 'text/plain; charset=utf-8';
const HTML = 'text/html; charset=utf-8';
const NOT_BUILT =
  'The page of the console is not part of this build of nestjs-reliable-mq: index.html, console.js and console.css are missing beside the ' +
  'compiled console. The published package has them; in its repository, npm run build:console makes them. The API below api/ works.\n';

/**
 * The page, which asks the API for everything. Whatever comes from the database is put into it by scripts of its own, as text; and if it were
 * not, no script without the answer's nonce would run.
 */
@Injectable()
export class ConsolePage {
  private files: PageFiles | undefined;

  constructor(
    private readonly access: Access,
    private readonly replies: Replies,
    @Inject(CONSOLE_OPTIONS) private readonly options: ResolvedConsoleOptions,
  ) {}

  /**
   * Where its files are is written as seen from the page's own URL, which may end with a slash or not: so it does not matter below which prefix,
   * or behind which proxy, the console is.
   */
  @Get()
  async index(@Req() request: ConsoleRequest, @Res() response: unknown): Promise<void> {
    if (await this.isRefused(request, response)) return;
    const [path = ''] = (request.originalUrl ?? request.url ?? '').split('?');
    const page = this.found()?.page(path.endsWith('/') ? '' : `${this.options.path.split('/').at(-1) ?? ''}/`);
    if (!page) this.replies.send(response, NOT_BUILT, TEXT, {}, 503);
    else this.replies.send(response, page.html, HTML, { 'Content-Security-Policy': policy(page.nonce) });
  }

  @Get(':file')
  async file(@Req() request: ConsoleRequest, @Res() response: unknown): Promise<void> {
    if (await this.isRefused(request, response)) return;
    const { file: name } = (request.params ?? {}) as { readonly file?: string };
    const file = this.found()?.file(name ?? '');
    if (!file) this.replies.send(response, 'There is no such file.\n', TEXT, {}, 404);
    // The page asks for it under a name that changes with what is in it.
    else this.replies.send(response, file.text, file.type, { 'Cache-Control': 'private, max-age=31536000, immutable' });
  }

  private async isRefused(request: ConsoleRequest, response: unknown): Promise<boolean> {
    try {
      await this.access.visitor(request);
      return false;
    } catch (error) {
      const { status, problem } = refusalOf(error) ?? { status: 500, problem: { message: 'The console failed.' } };
      this.replies.send(response, `${problem.message}\n`, TEXT, {}, status);
      return true;
    }
  }

  /** Looked for again while it is not there: it may be built beside a process that runs. */
  private found(): PageFiles | undefined {
    return (this.files ??= PageFiles.find());
  }
}

function policy(nonce: string): string {
  return [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src 'self' 'nonce-${nonce}'`,
    "connect-src 'self'",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}
