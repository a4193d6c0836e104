import type { LogLevel } from '@nestjs/common';
import type { ReliableMqOptions } from 'nestjs-reliable-mq';
import { databaseKindOf } from './database-kind';

/** Everything a service takes from its environment. */
export interface ServiceSettings {
  /** 0: any free port. */
  readonly port: number;
  readonly databaseUrl: string;
  readonly reliableMq: ReliableMqOptions;
  readonly logging: { readonly level: LogLevel; readonly json: boolean };
  /** Traces and metrics are exported, to where the exporters find in the environment. */
  readonly isObserved: boolean;
  /** Undefined: there is no console. */
  readonly console?: ConsoleSettings;
}

export interface ConsoleSettings {
  readonly password: string;
  /** Of other services, which are only read. */
  readonly databases: readonly { readonly name: string; readonly url: string }[];
}

/** What a service is called, and what its environment's variables begin with. */
export interface ServiceIdentity {
  /** `order`: reads ORDER_PORT and ORDER_DATABASE_URL. */
  readonly name: string;
  readonly defaultPort: number;
  /** Its name on the broker, and the exchange that it shares with the others. */
  readonly mqService: string;
  readonly exchange: string;
  /** Services whose databases its console reads too, where the environment says where they are. */
  readonly looksAt?: readonly string[];
}

/** The environment is wrong. `problems` lists everything, each as a full sentence. */
export class InvalidSettingsError extends Error {
  override readonly name = 'InvalidSettingsError';

  constructor(readonly problems: readonly string[]) {
    super(['The environment has problems:', ...problems.map((problem) => `  - ${problem}`)].join('\n'));
  }
}

/** From the least to the most talkative. */
const LOG_LEVELS: readonly LogLevel[] = ['fatal', 'error', 'warn', 'log', 'debug', 'verbose'];

/**
 * Quicker to repair than the library's defaults, so that a fault and its repair can be watched. `RELIABLE_MQ_OPTIONS`, a JSON
 * object of the same form, is laid over it: `RELIABLE_MQ_OPTIONS='{"consume":{"maxAttempts":3}}'`.
 */
const RELIABLE_MQ_DEFAULTS: Omit<ReliableMqOptions, 'service'> = {
  publish: { leaseMs: 15_000, confirmTimeoutMs: 5_000 },
  receipts: { chaseAfterMs: 10_000 },
  consume: { prefetch: 5, timeoutMs: 5_000 },
  compensation: { intervalMs: 2_000 },
};

/** What OpenTelemetry's exporters read; without any of them they would try this machine. */
const OTLP_ENDPOINTS: readonly string[] = [
  'OTEL_EXPORTER_OTLP_ENDPOINT',
  'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
  'OTEL_EXPORTER_OTLP_METRICS_ENDPOINT',
];

/**
 * | variable | meaning | default |
 * |---|---|---|
 * | `AMQP_URL` | the broker | `amqp://guest:guest@localhost:5672` |
 * | `<NAME>_DATABASE_URL` | the service's own database: `postgres://`, `mysql://` or `mariadb://` | `postgres://postgres:postgres@localhost:5432/reliable_mq_<name>` |
 * | `<NAME>_PORT` | HTTP port; 0: any free one | 3001, 3002 |
 * | `RELIABLE_MQ_OPTIONS` | JSON object laid over the options of `ReliableMqModule.forRoot` | `{}` |
 * | `MQ_NAMESPACE` | put before the names of services, queues and exchange (contracts/services.ts) | none |
 * | `OTEL_EXPORTER_OTLP_ENDPOINT` | where traces and metrics go; `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`: each by itself | none |
 * | `CONSOLE_PASSWORD` | of the console at `/reliable-mq`, with any name; the order service's shows the inventory's part of a journey too where `INVENTORY_DATABASE_URL` is there | none: no console |
 * | `LOG_LEVEL` | `fatal`, `error`, `warn`, `log`, `debug`, `verbose` | `log` |
 * | `NODE_ENV` | `production`: logs are JSON | |
 *
 * @throws InvalidSettingsError with every problem
 */
export function readSettings(service: ServiceIdentity, env: NodeJS.ProcessEnv): ServiceSettings {
  const { name, defaultPort, mqService, exchange } = service;
  const problems: string[] = [];
  const prefix = name.toUpperCase();
  const settings: ServiceSettings = {
    port: readPort(`${prefix}_PORT`, env, defaultPort, problems),
    databaseUrl: readDatabaseUrl(
      `${prefix}_DATABASE_URL`,
      env,
      `postgres://postgres:postgres@localhost:5432/reliable_mq_${name}`,
      problems,
    ),
    reliableMq: merge(
      {
        service: mqService,
        rabbitmq: { uri: env.AMQP_URL || 'amqp://guest:guest@localhost:5672', exchange },
        ...RELIABLE_MQ_DEFAULTS,
      },
      readOptions('RELIABLE_MQ_OPTIONS', env, problems),
    ),
    logging: { level: readLogLevel('LOG_LEVEL', env, problems), json: env.NODE_ENV === 'production' },
    isObserved: OTLP_ENDPOINTS.some((name) => Boolean(env[name])),
  };
  const password = env.CONSOLE_PASSWORD;
  const databases = (service.looksAt ?? []).flatMap((other) => {
    const url = readDatabaseUrl(`${other.toUpperCase()}_DATABASE_URL`, env, '', problems);
    return url === '' ? [] : [{ name: other, url }];
  });
  if (problems.length > 0) throw new InvalidSettingsError(problems);
  return password ? { ...settings, console: { password, databases } } : settings;
}

/** Lays one object over another, group by group; arrays and values replace. */
export function merge<T extends object>(base: T, over: Readonly<Record<string, unknown>>): T {
  const merged = { ...base } as Record<string, unknown>;
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key];
    merged[key] = isPlainObject(below) && isPlainObject(value) ? merge(below, value) : value;
  }
  return merged as T;
}

function readPort(name: string, env: NodeJS.ProcessEnv, fallback: number, problems: string[]): number {
  const text = env[name];
  if (!text) return fallback;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port >= 0 && port <= 65_535) return port;
  problems.push(`${name} must be a port from 0 to 65535, got ${JSON.stringify(text)}.`);
  return fallback;
}

/** The url itself stays out of the message: it may hold a password. */
function readDatabaseUrl(name: string, env: NodeJS.ProcessEnv, fallback: string, problems: string[]): string {
  const text = env[name];
  if (!text) return fallback;
  const isDatabase = databaseKindOf(text) !== undefined && new URL(text).pathname.length > 1;
  if (!isDatabase) {
    problems.push(
      `${name} must be a url such as postgres://user:password@host:5432/database or mariadb://user:password@host:3306/database.`,
    );
  }
  return text;
}

function readOptions(name: string, env: NodeJS.ProcessEnv, problems: string[]): Record<string, unknown> {
  const text = env[name];
  if (!text) return {};
  try {
    const options: unknown = JSON.parse(text);
    if (isPlainObject(options)) return options;
    problems.push(`${name} must be a JSON object, got ${text.slice(0, 80)}.`);
  } catch (error) {
    problems.push(`${name} must be a JSON object: ${error instanceof Error ? error.message : String(error)}.`);
  }
  return {};
}

function readLogLevel(name: string, env: NodeJS.ProcessEnv, problems: string[]): LogLevel {
  const text = env[name];
  if (!text) return 'log';
  const level = LOG_LEVELS.find((known) => known === text);
  if (!level) problems.push(`${name} must be one of ${LOG_LEVELS.join(', ')}, got ${JSON.stringify(text)}.`);
  return level ?? 'log';
}

/** The level and everything graver. */
export function logLevelsUpTo(level: LogLevel): LogLevel[] {
  return LOG_LEVELS.slice(0, LOG_LEVELS.indexOf(level) + 1);
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
