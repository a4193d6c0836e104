import { maskUri } from '../log/mask-uri';
import { type OptionReader, show } from '../input/option-reader';
import type { RabbitMqCredentials, ResolvedRabbitMqOptions } from '../broker/rabbitmq/resolved-rabbitmq-options';
import type { SharedAmqpConnection } from '../broker/rabbitmq/shared-connection';
import type { RabbitMqTls } from './options';

const SECOND = 1000;
const HOUR = 3600 * SECOND;

/** What amqplib reads of a URI. Others would be ignored, and somebody would believe in them. */
const URI_PARAMETERS = ['heartbeat', 'channelMax', 'frameMax', 'locale'];
const TLS_OPTIONS: Readonly<Record<keyof RabbitMqTls, true>> = {
  ca: true,
  cert: true,
  key: true,
  passphrase: true,
  pfx: true,
  servername: true,
  rejectUnauthorized: true,
  checkServerIdentity: true,
  ciphers: true,
  minVersion: true,
  maxVersion: true,
};

/** The group `rabbitmq`. @param required whether there must be a broker at all */
export function readRabbitMq(root: OptionReader, required: boolean, problems: string[]): ResolvedRabbitMqOptions {
  const group = root.group('rabbitmq');
  const uri = group.raw('uri');
  const uris = uri === undefined ? [] : Array.isArray(uri) ? (uri as unknown[]) : [uri];
  const connection = readConnection(group, problems);
  const tls = readTls(group);
  const credentials = readCredentials(group, problems);
  if (connection) {
    for (const [key, value] of Object.entries({ uri, tls, credentials })) {
      if (value !== undefined)
        problems.push(`rabbitmq.${key} has no effect beside rabbitmq.connection: give one of them.`);
    }
  } else if (required && uris.length === 0) {
    problems.push("rabbitmq.uri is missing, for example { rabbitmq: { uri: 'amqp://guest:guest@localhost:5672' } }.");
  }
  for (const item of uris) {
    const problem = uriProblem(item, { tls: tls !== undefined, credentials: credentials !== undefined });
    if (problem) problems.push(problem);
  }
  const resolved: ResolvedRabbitMqOptions = {
    uris: uris.filter((item): item is string => typeof item === 'string'),
    tls,
    credentials,
    connection,
    exchange: group.text(
      'exchange',
      'reliable-mq',
      /^(?!amq\.)[\w.:-]+$/,
      120,
      'an exchange name that does not begin with "amq."',
    ),
    heartbeatSeconds: group.integer('heartbeatSeconds', 10, 1, 3600),
    reconnectMs: group.integer('reconnectMs', SECOND, 10, HOUR),
    queueType: group.choice('queueType', 'quorum', ['quorum', 'classic']),
    singleActiveConsumer: group.boolean('singleActiveConsumer', false),
    topology: group.choice('topology', 'declare', ['declare', 'verify']),
  };
  group.refuseUnknown();
  return resolved;
}

/** Copied, so that freezing the options touches nothing of the application's. */
function readTls(group: OptionReader): RabbitMqTls | undefined {
  if (group.raw('tls') === undefined) return undefined;
  const tls = group.group('tls');
  const given = Object.keys(TLS_OPTIONS).map((key) => [key, tls.raw(key)] as const);
  tls.refuseUnknown();
  return Object.fromEntries(given.filter(([, value]) => value !== undefined));
}

function readCredentials(group: OptionReader, problems: string[]): ResolvedRabbitMqOptions['credentials'] {
  const value = group.raw('credentials');
  if (value === undefined) return undefined;
  if (typeof value === 'function') return async () => checkedCredentials(await (value as () => unknown)());
  try {
    const given = checkedCredentials(value);
    return () => given;
  } catch {
    problems.push('rabbitmq.credentials must be { username, password }, both texts, or a function that gives them.');
    return undefined;
  }
}

/** @throws Error when they are none; it does not show them */
function checkedCredentials(value: unknown): RabbitMqCredentials {
  const { username, password } = (value ?? {}) as { readonly username?: unknown; readonly password?: unknown };
  if (typeof username !== 'string' || typeof password !== 'string') {
    throw new Error('rabbitmq.credentials() must give { username, password }, both texts');
  }
  return { username, password };
}

function readConnection(group: OptionReader, problems: string[]): SharedAmqpConnection | undefined {
  const value = group.raw('connection');
  if (value === undefined) return undefined;
  const { managedConnection, configuration } = (value ?? {}) as Partial<SharedAmqpConnection>;
  if (typeof managedConnection?.on === 'function' && configuration?.uri !== undefined)
    return value as SharedAmqpConnection;
  problems.push(
    'rabbitmq.connection must be an AmqpConnection of @golevelup/nestjs-rabbitmq that was initialised (it has managedConnection and configuration.uri).',
  );
  return undefined;
}

function uriProblem(
  uri: unknown,
  beside: { readonly tls: boolean; readonly credentials: boolean },
): string | undefined {
  const example = 'expected amqp://user:password@host:5672/vhost';
  if (typeof uri !== 'string') return `rabbitmq.uri must be a text, got ${show(uri)}; ${example}.`;
  let url: URL;
  try {
    url = new URL(uri);
  } catch {
    return `rabbitmq.uri ${showUri(uri)} is not a URI; ${example}.`;
  }
  if (url.protocol !== 'amqp:' && url.protocol !== 'amqps:') {
    return `rabbitmq.uri ${showUri(uri)} must begin with amqp:// or amqps://; ${example}.`;
  }
  if (url.hostname === '') return `rabbitmq.uri ${showUri(uri)} has no host; ${example}.`;
  if (beside.tls && url.protocol === 'amqp:') {
    return `rabbitmq.tls has no effect on rabbitmq.uri ${showUri(uri)}: it must begin with amqps://.`;
  }
  if (beside.credentials && (url.username !== '' || url.password !== '')) {
    return `rabbitmq.uri ${showUri(uri)} names a user, and rabbitmq.credentials does too: give one of them.`;
  }
  return parameterProblem(uri, url.searchParams);
}

function parameterProblem(uri: string, parameters: URLSearchParams): string | undefined {
  const unknown = [...parameters.keys()].filter((key) => !URI_PARAMETERS.includes(key));
  if (unknown.length > 0) {
    return (
      `rabbitmq.uri ${showUri(uri)} has the unknown parameter ${unknown.map(show).join(', ')}. ` +
      `Known ones: ${URI_PARAMETERS.join(', ')}; certificates belong in rabbitmq.tls.`
    );
  }
  const heartbeat = parameters.get('heartbeat');
  if (heartbeat === null || (/^\d+$/.test(heartbeat) && Number(heartbeat) >= 1 && Number(heartbeat) <= 3600))
    return undefined;
  return `rabbitmq.uri ${showUri(uri)}: heartbeat must be a whole number of seconds from 1 to 3600.`;
}

/** A URI for a message. One without a scheme is none, but may still hold a password. */
function showUri(uri: string): string {
  return show(uri.includes('://') ? maskUri(uri) : uri.replace(/^.*@/s, '***@'));
}
