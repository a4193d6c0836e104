import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Problem, Session } from '../../libs/reliable-mq/src/console/api';
import { ensurePage, SOURCE_PAGE } from '../../tools/console/build-page';
import { beginFixtures } from './fixtures';
import { MockAnswers } from './mock-answers';

const CSRF = 'token-of-the-session';
const NONCE = 'nonce-of-this-answer';

const POLICY = [
  "default-src 'none'",
  `script-src 'nonce-${NONCE}'`,
  `style-src 'nonce-${NONCE}'`,
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const TYPES: Readonly<Record<string, string>> = {
  'index.html': 'text/html; charset=utf-8',
  'console.js': 'text/javascript; charset=utf-8',
  'console.css': 'text/css; charset=utf-8',
};

export interface Asked {
  readonly method: string;
  /** Below `api/`. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly body: unknown;
}

export interface Refusal {
  readonly status: number;
  /** In the place of JSON a text: what a proxy answers. */
  readonly body: Problem | string;
}

/** Stands in for the console's server, below a path that an application might mount it at. */
export class MockConsole {
  private constructor(
    readonly url: string,
    readonly answers: MockAnswers,
    readonly asked: Asked[],
    /** By path below `api/`: refused until it is taken out. */
    readonly refusals: Map<string, Refusal>,
    readonly close: () => Promise<void>,
  ) {}

  static async start(role: Session['role'] = 'act'): Promise<MockConsole> {
    ensurePage();
    beginFixtures();
    const answers = new MockAnswers(role, CSRF);
    const asked: Asked[] = [];
    const refusals = new Map<string, Refusal>();
    const server = createServer((request, response) => {
      void answer(request, response, answers, asked, refusals).catch((error: unknown) => {
        response.writeHead(500).end(String(error));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const close = async (): Promise<void> => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    };
    return new MockConsole(`http://127.0.0.1:${port}/ops/reliable-mq/`, answers, asked, refusals, close);
  }

  /** The bodies that were posted to a path, in order. */
  posted(path: string): readonly unknown[] {
    return this.asked.filter((one) => one.method === 'POST' && one.path === path).map(({ body }) => body);
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  answers: MockAnswers,
  asked: Asked[],
  refusals: ReadonlyMap<string, Refusal>,
): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://mock');
  const file = pathname.replace('/ops/reliable-mq/', '') || 'index.html';
  const type = TYPES[file];
  if (type !== undefined) {
    const text = readFileSync(join(SOURCE_PAGE, file), 'utf8').replaceAll('__NONCE__', NONCE);
    response.writeHead(200, { 'content-type': type, 'content-security-policy': POLICY }).end(text);
    return;
  }
  if (!file.startsWith('api/')) {
    response.writeHead(404).end();
    return;
  }
  const method = request.method ?? 'GET';
  const path = file.slice('api/'.length);
  const query = Object.fromEntries(searchParams);
  const text = await textOf(request);
  const body: unknown = text === '' ? undefined : JSON.parse(text);
  asked.push({ method, path, query, body });
  const refused = refusals.get(path) ?? refusalOf(request, answers);
  if (refused) {
    response
      .writeHead(refused.status, {
        'content-type': typeof refused.body === 'string' ? 'text/html' : 'application/json',
      })
      .end(typeof refused.body === 'string' ? refused.body : JSON.stringify(refused.body));
    return;
  }
  const found = method === 'POST' ? answers.post(path, body) : answers.get(path, query);
  const missing: Problem = { code: 'EVENT_NOT_FOUND', message: `${path} is not known` };
  response.writeHead(found === undefined ? 404 : method === 'POST' ? 201 : 200, { 'content-type': 'application/json' });
  response.end(JSON.stringify(found ?? missing));
}

function refusalOf(request: IncomingMessage, { role }: MockAnswers): Refusal | undefined {
  if (request.method !== 'POST') return undefined;
  if (request.headers['x-reliable-mq-csrf'] !== CSRF)
    return { status: 403, body: { code: 'CSRF', message: 'no token' } };
  return role === 'act' ? undefined : { status: 403, body: { code: 'NOT_ALLOWED', message: 'may only read' } };
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
