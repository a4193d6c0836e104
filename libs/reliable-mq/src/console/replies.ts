import { Injectable } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { createLog } from '../log/log';
import { describeError } from '../event/errors';
import { failure, refusalOf } from './console-problem';

const COMMON_HEADERS: Readonly<Record<string, string>> = {
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'X-Frame-Options': 'DENY',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-store',
};

/** Nothing of it is a page. */
const NO_PAGE = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export interface Reply {
  /** @default 200 */
  readonly status?: number;
  readonly body: unknown;
}

/**
 * Answers by the application's HTTP adapter, Express or Fastify, and not by Nest's way of what a method returns: the application's global
 * interceptors and filters would give it another form, which the page does not know.
 */
@Injectable()
export class Replies {
  private readonly log = createLog();

  constructor(private readonly host: HttpAdapterHost) {}

  /** The answer that the work makes, or why there is none. */
  async json(response: unknown, work: () => Promise<Reply>): Promise<void> {
    const { status, text } = await this.textOf(work);
    this.send(response, text, 'application/json; charset=utf-8', { 'Content-Security-Policy': NO_PAGE }, status);
  }

  /** @param type of the content */
  send(response: unknown, text: string, type: string, headers: Readonly<Record<string, string>>, status = 200): void {
    const { httpAdapter } = this.host;
    for (const [name, value] of Object.entries({ ...COMMON_HEADERS, ...headers, 'Content-Type': type }))
      httpAdapter.setHeader(response, name, value);
    httpAdapter.reply(response, text, status);
  }

  private async textOf(work: () => Promise<Reply>): Promise<{ readonly status: number; readonly text: string }> {
    try {
      const { status = 200, body } = await work();
      return { status, text: JSON.stringify(body) };
    } catch (error) {
      const refusal = refusalOf(error) ?? failure(error);
      if (refusal.status >= 500) this.log.warn('The console could not answer', { error: describeError(error) });
      return { status: refusal.status, text: JSON.stringify(refusal.problem) };
    }
  }
}
