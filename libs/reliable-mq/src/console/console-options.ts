import { randomBytes } from 'node:crypto';
import type { CanActivate, Type } from '@nestjs/common';
import { InvalidSetupError } from '../event/errors';
import { OptionReader, show } from '../input/option-reader';
import { databaseOfUrl, problemOfUrl } from '../operate/other-database';

/** `none`: the console answers 403. `read`: everything is seen, as `redact` lets it through. `act`: also change it. */
export type ConsoleRole = 'none' | 'read' | 'act';

/** What Express and Fastify have in common, and what guards add. */
export interface ConsoleRequest {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly originalUrl?: string | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly query?: unknown;
  readonly params?: unknown;
  readonly body?: unknown;
  /** Where most guards put who it is. */
  readonly user?: unknown;
}

/** What `redact` is told of the event whose payload it gets. */
export interface RedactedEvent {
  readonly eventId: string;
  readonly type: string;
  readonly key: string | null;
  /** Of the person who looks. */
  readonly role: 'read' | 'act';
}

/** Another service's database, which is only read. */
export interface ConsoleDatabase {
  /** How the console calls it. */
  readonly name: string;
  /** `postgres://…`, `mysql://…` or `mariadb://…`; of a user who may read the tables, and nothing else. */
  readonly url: string;
  /** Schema of the tables, on PostgreSQL. @default where the connection's search_path leads */
  readonly schema?: string;
  /** `entityPrefix` of that service's DataSource. @default none */
  readonly prefix?: string;
}

export interface ConsoleOptions {
  /**
   * What the person behind a request may do. What it throws, and what is no role, reads as `none`.
   * @default everybody who passes the guards may read, and nobody may act
   */
  role?(request: ConsoleRequest): ConsoleRole | Promise<ConsoleRole>;
  /**
   * Who the audit says it was, and whose the CSRF token and the rate limit are: 1 to 200 characters.
   * @default `email`, `username`, `name`, `sub` or `id` of `request.user`, the first that is there; otherwise `console`
   */
  actor?(request: ConsoleRequest): string;
  /**
   * What of a payload is shown. Gets a copy, and may change it. What it throws hides the payload.
   * @default payloads are shown as they were recorded
   */
  redact?(payload: unknown, event: RedactedEvent): unknown;
  /**
   * Other services' databases, so that a journey shows across them.
   * @default none
   */
  readonly databases?: readonly ConsoleDatabase[];
  /**
   * Of the CSRF tokens, at least 32 characters: the same for all instances behind one address.
   * @default made at boot: with several instances, a page whose next request meets another one has to be loaded again
   */
  readonly csrfSecret?: string;
  /**
   * Actions of one person a minute; 1 to 6,000. One bulk action counts as one.
   * @default 60
   */
  readonly actionsPerMinute?: number;
}

/** What shapes the module graph, and so must be known before any factory runs. */
export interface ConsoleExtras {
  /**
   * Where it is, below the application's global prefix.
   * @default '/reliable-mq'
   */
  readonly path?: string;
  /** Who may come in: guards of Nest, as classes, which Nest makes, or as instances. All of them must agree. There is no default. */
  readonly guards: readonly (Type<CanActivate> | CanActivate)[];
}

export const EXTRAS_DEFAULTS: Required<ConsoleExtras> = { path: '/reliable-mq', guards: [] };

/** Complete and checked. */
export interface ResolvedConsoleOptions extends Pick<ConsoleOptions, 'role' | 'actor' | 'redact'> {
  readonly path: string;
  readonly databases: readonly ConsoleDatabase[];
  readonly csrfSecret: string;
  readonly actionsPerMinute: number;
}

const PATH = /^(\/[\w.~-]+)+$/;
const NAME = /^[\w.-]+$/;
const MIN_SECRET_LENGTH = 32;

/** @throws InvalidSetupError with all that is wrong */
export function resolveConsoleOptions(given: ConsoleOptions, extras: ConsoleExtras): ResolvedConsoleOptions {
  const problems = [...problemsOfGuards(extras.guards)];
  const { path } = extras;
  if (typeof path !== 'string' || !PATH.test(path))
    problems.push(`path must be a path such as "/reliable-mq", got ${show(path)}.`);
  const reader = new OptionReader(given, '', problems);
  const read = {
    role: functionOf(reader, 'role', problems) as ConsoleOptions['role'],
    actor: functionOf(reader, 'actor', problems) as ConsoleOptions['actor'],
    redact: functionOf(reader, 'redact', problems) as ConsoleOptions['redact'],
    databases: databasesOf(reader.raw('databases'), problems),
    csrfSecret: secretOf(reader.raw('csrfSecret'), problems),
    actionsPerMinute: reader.integer('actionsPerMinute', 60, 1, 6000),
  };
  reader.refuseUnknown();
  if (problems.length > 0)
    throw new InvalidSetupError(problems.map((problem) => `ReliableMqConsoleModule: ${problem}`));
  return { ...read, path: path as string };
}

/** Whether Nest can make it, or call it. */
export function isGuard(guard: unknown): guard is Type<CanActivate> | CanActivate {
  const owner: unknown = typeof guard === 'function' ? guard.prototype : guard;
  return typeof (owner as Partial<CanActivate> | null | undefined)?.canActivate === 'function';
}

function problemsOfGuards(guards: unknown): readonly string[] {
  if (!Array.isArray(guards) || guards.length === 0) {
    return [
      'guards is missing. Whoever can reach the console sees business data, and may send events again: say who may come in, with ' +
        'guards: [AdminGuard].',
    ];
  }
  return guards.flatMap((guard: unknown, index) =>
    isGuard(guard)
      ? []
      : [`guards[${index}] must be a guard, a class or an object with canActivate, got ${show(guard)}.`],
  );
}

function functionOf(reader: OptionReader, name: string, problems: string[]): unknown {
  const value = reader.raw(name);
  if (value === undefined || typeof value === 'function') return value;
  problems.push(`${name} must be a function, got ${show(value)}.`);
  return undefined;
}

function secretOf(value: unknown, problems: string[]): string {
  if (value === undefined) return randomBytes(MIN_SECRET_LENGTH).toString('base64url');
  if (typeof value === 'string' && value.length >= MIN_SECRET_LENGTH) return value;
  // Without the value: it is a secret.
  problems.push(`csrfSecret must be a text of at least ${MIN_SECRET_LENGTH} characters.`);
  return '';
}

function databasesOf(value: unknown, problems: string[]): readonly ConsoleDatabase[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) {
    problems.push(`databases must be an array of { name, url }, got ${show(value)}.`);
    return [];
  }
  const databases = value.map((each: unknown, index): ConsoleDatabase => {
    const path = `databases[${index}]`;
    const reader = new OptionReader(each, path, problems);
    const name = reader.text('name', undefined, NAME, 100, 'a name of letters, digits, "_", "-" and "."');
    const [url, schema, prefix] = ['url', 'schema', 'prefix'].map((key) => reader.raw(key) as string | undefined);
    reader.refuseUnknown();
    const problem = problemOfUrl(url);
    if (problem !== undefined) problems.push(`${path}.url: ${problem}.`);
    else if (schema !== undefined && databaseOfUrl(url) !== 'postgres')
      problems.push(`${path}.schema is for PostgreSQL: elsewhere the database is named in its URL.`);
    return { name, url: url ?? '', ...(schema !== undefined && { schema }), ...(prefix !== undefined && { prefix }) };
  });
  const twice = databases.map(({ name }) => name).filter((name, index, all) => all.indexOf(name) !== index);
  problems.push(...twice.map((name) => `databases names ${show(name)} twice.`));
  return databases;
}
