import { InvalidOptionsError } from '../event/errors';
import { MemoryBroker } from '../broker/memory/memory-broker';
import type { ReliableMqOptions } from './options';
import { resolveOptions } from './resolve-options';
import type { ResolvedOptions } from './resolved-options';

const minimal = { service: 'order', rabbitmq: { uri: 'amqp://localhost' } };

function problemsOf(options: unknown): readonly string[] {
  try {
    resolveOptions(options as ReliableMqOptions);
    return [];
  } catch (error) {
    if (error instanceof InvalidOptionsError) return error.problems;
    throw error;
  }
}

/** The minimal options with one of them replaced, by its path. */
function withOption(path: string, value: unknown): object {
  const [first = '', ...rest] = path.split('.');
  const set = (source: object, keys: readonly string[]): object => {
    const [key = '', ...others] = keys;
    const inner = (source as Record<string, object | undefined>)[key] ?? {};
    return { ...source, [key]: others.length === 0 ? value : set(inner, others) };
  };
  return set(minimal, [first, ...rest]);
}

describe('resolveOptions', () => {
  it('needs a service and a broker only, and undefined means the default', () => {
    const resolved = resolveOptions({
      ...minimal,
      schema: undefined,
      publish: { leaseMs: undefined, backoff: { maxMs: undefined } },
      consume: undefined,
      hooks: undefined,
    });
    expect(resolved).toEqual(resolveOptions(minimal));
    expect(resolved.rabbitmq.uris).toEqual(['amqp://localhost']);
  });

  it('needs no broker for the in-memory transport', () => {
    const broker = new MemoryBroker();
    expect(resolveOptions({ service: 'order', transport: 'memory' }).rabbitmq.uris).toEqual([]);
    expect(resolveOptions({ service: 'order', transport: broker }).transport).toBe(broker);
  });

  it('takes several nodes of a cluster', () => {
    const uri = ['amqp://a', 'amqps://user:password@b:5671/vhost'];
    expect(resolveOptions({ service: 'order', rabbitmq: { uri } }).rabbitmq.uris).toEqual(uri);
  });

  it('takes certificates and credentials apart from the URI, and asks for them again each time', async () => {
    const ca = ['a certificate'];
    let password = 'first';
    const { rabbitmq } = resolveOptions({
      service: 'order',
      rabbitmq: {
        uri: 'amqps://b',
        tls: { ca, servername: 'mq' },
        credentials: () => ({ username: 'shop', password }),
      },
    });
    expect(rabbitmq.tls).toEqual({ ca, servername: 'mq' });
    expect(Object.isFrozen(ca)).toBe(false);
    expect(await rabbitmq.credentials?.()).toEqual({ username: 'shop', password: 'first' });
    password = 'second';
    expect(await rabbitmq.credentials?.()).toEqual({ username: 'shop', password: 'second' });
  });

  it('does not take credentials twice, nor unknown TLS options, and shows no password', () => {
    const problems = problemsOf({
      service: 'order',
      rabbitmq: { uri: 'amqps://a:secret@b', tls: { cacert: 'x' }, credentials: { username: 'a', password: 'secret' } },
    });
    expect(problems).toEqual([
      'Unknown option "rabbitmq.tls.cacert"; did you mean "rabbitmq.tls.cert"?',
      'rabbitmq.uri "amqps://a:***@b" names a user, and rabbitmq.credentials does too: give one of them.',
    ]);
  });

  it('says of credentials that a function gives wrongly what they must be, without them', async () => {
    const credentials = (): unknown => ({ user: 'a', password: 'secret' });
    const { rabbitmq } = resolveOptions({ service: 'order', rabbitmq: { uri: 'amqp://b', credentials } } as never);
    await expect((async () => rabbitmq.credentials?.())()).rejects.toThrow(
      'rabbitmq.credentials() must give { username, password }, both texts',
    );
  });

  it('takes the connection of the application, untouched, and nothing beside it', () => {
    const connection = {
      managedConnection: { connection: undefined, on: () => undefined, removeListener: () => undefined },
      configuration: { uri: ['amqp://a'] },
    };
    const { rabbitmq } = resolveOptions({ service: 'order', rabbitmq: { connection } });
    expect(rabbitmq.connection).toBe(connection);
    expect(Object.isFrozen(connection.configuration)).toBe(false);
    expect(problemsOf({ service: 'order', rabbitmq: { connection, uri: 'amqp://a' } })).toEqual([
      'rabbitmq.uri has no effect beside rabbitmq.connection: give one of them.',
    ]);
  });

  it('puts every problem into one error', () => {
    const problems = problemsOf({
      service: 'or der',
      rabbitmq: { uri: 'http://localhost', exchange: 'amq.topic' },
      transport: 'carrier pigeon',
      publish: { leaseMs: 5000, confirmTimeoutMs: 5000, maxAttempts: 0 },
      retension: {},
      hooks: { dead: 'call me' },
    });
    expect(problems).toEqual([
      expect.stringMatching(/^service must be a name of letters.*got "or der"/),
      expect.stringMatching(/^transport must be "rabbitmq", "memory" or a MemoryBroker, got "carrier pigeon"/),
      expect.stringMatching(/^rabbitmq\.uri "http:\/\/localhost" must begin with amqp/),
      expect.stringMatching(/^rabbitmq\.exchange must be an exchange name/),
      expect.stringMatching(/^publish\.maxAttempts must be a whole number from 1 to 10000, got 0/),
      expect.stringMatching(/^hooks\.dead must be a function, got "call me"/),
      expect.stringMatching(/^Unknown option "retension"; did you mean "retention"\?/),
      expect.stringMatching(/^publish\.confirmTimeoutMs \(5000\) must be at most half of publish\.leaseMs \(5000\)/),
    ]);
    expect(new InvalidOptionsError(problems).message).toContain('8 problem(s)');
  });

  it.each([undefined, null, 'amqp://localhost', [], 7])('says what is missing when it gets %j', (options) => {
    const problems = problemsOf(options);
    expect(problems).toContainEqual(expect.stringMatching(/^service must be .*it is missing/));
    expect(problems).toContainEqual(expect.stringMatching(/^rabbitmq\.uri is missing, for example/));
  });

  it.each<[string, unknown, string]>([
    ['service', '', 'service must be'],
    ['service', 'a..b', 'service must be'],
    ['service', 'a'.repeat(101), 'at most 100 characters'],
    ['service', 7, 'got 7'],
    ['schema', 'drop', 'schema must be one of "migrate", "verify", got "drop"'],
    ['rabbitmq.uri', 7, 'rabbitmq.uri must be a text, got 7'],
    ['rabbitmq.uri', '', 'is not a URI'],
    ['rabbitmq.uri', [], 'rabbitmq.uri is missing'],
    ['rabbitmq.uri', ['amqp://a', 'localhost'], 'is not a URI'],
    ['rabbitmq.uri', 'amqp://', 'has no host'],
    [
      'rabbitmq.uri',
      'amqp://a?frameMax=4096&verify=verify_peer&cacertfile=x',
      'unknown parameter "verify", "cacertfile". Known ones: heartbeat, channelMax',
    ],
    ['rabbitmq.uri', 'amqp://a?heartbeat=0', 'heartbeat must be a whole number of seconds from 1 to 3600'],
    [
      'rabbitmq.tls',
      { ca: 'x' },
      'rabbitmq.tls has no effect on rabbitmq.uri "amqp://localhost": it must begin with amqps://',
    ],
    ['rabbitmq.credentials', { username: 'a' }, 'rabbitmq.credentials must be { username, password }'],
    ['rabbitmq.connection', {}, 'rabbitmq.connection must be an AmqpConnection of @golevelup/nestjs-rabbitmq'],
    ['rabbitmq.heartbeatSeconds', -1, 'rabbitmq.heartbeatSeconds must be a whole number from 1 to 3600, got -1'],
    ['rabbitmq.topology', 'check', 'rabbitmq.topology must be one of "declare", "verify", got "check"'],
    ['rabbitmq.singleActiveConsumer', 1, 'rabbitmq.singleActiveConsumer must be true or false'],
    ['rabbitmq.queueType', 'stream', 'must be one of "quorum", "classic"'],
    ['publish', 7, 'publish must be an object, got 7'],
    ['publish.leaseMs', '30000', 'publish.leaseMs must be a whole number from 1000 to 3600000, got "30000"'],
    ['publish.leaseMs', 1500.5, 'got 1500.5'],
    ['publish.leaseMs', NaN, 'got NaN'],
    ['publish.leaseMs', null, 'got null'],
    ['publish.backoff', [], 'publish.backoff must be an object, got an array'],
    ['publish.backoff.jitter', 1.1, 'publish.backoff.jitter must be a number from 0 to 1, got 1.1'],
    ['publish.backoff.jitter', NaN, 'got NaN'],
    ['publish.backof', {}, 'Unknown option "publish.backof"; did you mean "publish.backoff"?'],
    ['publish.backoff.max', 1, 'Unknown option "publish.backoff.max"; did you mean "publish.backoff.maxMs"?'],
    ['receipts.coalesceMs', -1, 'receipts.coalesceMs must be a whole number from 0'],
    ['consume.prefetch', 70_000, 'consume.prefetch must be a whole number from 1 to 65535'],
    ['consume.maxUnfinishedStarts', 2, 'consume.maxUnfinishedStarts must be a whole number from 3'],
    ['compensation.enabled', 'yes', 'compensation.enabled must be true or false, got "yes"'],
    ['retention.outboxHours', -1, 'retention.outboxHours must be a number from 0'],
    ['shutdown.drainMs', Infinity, 'shutdown.drainMs must be a whole number from 0 to 3600000, got Infinity'],
    ['hooks.deaad', () => undefined, 'Unknown option "hooks.deaad"; did you mean "hooks.dead"?'],
    ['hooks', [{}, { deaad: () => undefined }], 'Unknown option "hooks[1].deaad"; did you mean "hooks[1].dead"?'],
    ['compensation.cron', 'every now and then', 'compensation.cron must be a cron expression'],
    ['compensation.cron', 10, 'seconds first), got 10'],
    ['compensation.intervalMs', 0, 'compensation.intervalMs must be a whole number from 50'],
    ['compensation', { cron: '0 * * * * *', intervalMs: 1000 }, 'say when the same task runs: give one of them'],
    ['hooks', () => undefined, 'hooks must be an object, got a function'],
    ['prefetch', 1, 'Unknown option "prefetch"'],
    ['completelyDifferent', 1, 'Unknown option "completelyDifferent".'],
  ])('refuses %s: %p', (path, value, problem) => {
    expect(problemsOf(withOption(path, value))).toEqual([expect.stringContaining(problem) as string]);
  });

  it.each(['producer', 'consumer', 'dataSources', 'isGlobal'])(
    'says where "%s" belongs when a factory gives it',
    (key) => {
      expect(problemsOf({ ...minimal, [key]: false })).toEqual([
        `"${key}" shapes the module and can't come from a factory: write it beside useFactory, forRootAsync({ ${key}: …, useFactory }).`,
      ]);
    },
  );

  describe('checks what belongs together', () => {
    it('a lease must outlast the wait for a confirm', () => {
      const publish = { leaseMs: 19_999, confirmTimeoutMs: 10_000 };
      expect(problemsOf({ ...minimal, publish })).toEqual([
        expect.stringMatching(/confirmTimeoutMs \(10000\) must be at most half of publish\.leaseMs \(19999\)/),
      ]);
      expect(problemsOf({ ...minimal, publish: { ...publish, leaseMs: 20_000 } })).toEqual([]);
    });

    it('defaults give way to what was written', () => {
      const options = { ...minimal, publish: { leaseMs: 1_001 }, record: { maxPayloadBytes: 64 * 1024 * 1024 } };
      expect(resolveOptions(options).publish).toMatchObject({
        confirmTimeoutMs: 500,
        bufferBytes: 64 * 1024 * 1024,
      });
      expect(resolveOptions(minimal).publish).toMatchObject({
        confirmTimeoutMs: 10_000,
        bufferBytes: 32 * 1024 * 1024,
      });
    });

    it('the largest payload must fit into the buffer', () => {
      expect(problemsOf({ ...minimal, record: { maxPayloadBytes: 2048 }, publish: { bufferBytes: 2047 } })).toEqual([
        expect.stringMatching(/^publish\.bufferBytes \(2047\) must not be below record\.maxPayloadBytes \(2048\)/),
      ]);
      expect(problemsOf({ ...minimal, record: { maxPayloadBytes: 2048 }, publish: { bufferBytes: 2048 } })).toEqual([]);
    });

    it('the inbox must remember longer than an event can be retried', () => {
      expect(problemsOf({ ...minimal, retention: { inboxHours: 1 } })).toEqual([
        expect.stringMatching(
          /^retention\.inboxHours \(1\) must be longer than an event can be retried \(\d+\.\d hours/,
        ),
      ]);
      expect(problemsOf({ ...minimal, publish: { maxAttempts: 500 } })).toEqual([
        expect.stringMatching(/^retention\.inboxHours \(336\)/),
      ]);
      expect(problemsOf({ ...minimal, consume: { maxAttempts: 10_000 } })).toEqual([
        expect.stringMatching(/^retention\.inboxHours \(336\)/),
      ]);
      expect(problemsOf({ ...minimal, publish: { maxAttempts: 500 }, retention: { inboxHours: 6000 } })).toEqual([]);
    });

    it('a longest delay must not be below the first one, unless that is only a default', () => {
      expect(problemsOf({ ...minimal, publish: { backoff: { initialMs: 200, maxMs: 100 } } })).toEqual([
        'publish.backoff.maxMs (100) must not be below publish.backoff.initialMs (200).',
      ]);
      expect(resolveOptions({ ...minimal, publish: { backoff: { maxMs: 100 } } }).publish.backoff).toEqual({
        initialMs: 100,
        maxMs: 100,
        jitter: 0.2,
      });
      expect(resolveOptions({ ...minimal, consume: { backoff: { initialMs: 3_600_000 } } }).consume.backoff).toEqual({
        initialMs: 3_600_000,
        maxMs: 3_600_000,
        jitter: 0.2,
      });
    });
  });

  it.each([
    'http://user:s3cret@localhost',
    'user:s3cret@localhost',
    'amqp://user:s3cret@',
    'amqp://user:s3cret/x@localhost',
    ['amqp://ok', 'ftp://user:s3cret@localhost'],
  ])('never tells a password: %j', (uri) => {
    const problems = problemsOf({ service: 'order', rabbitmq: { uri } });
    expect(problems).toHaveLength(1);
    expect(problems[0]).not.toContain('s3cret');
  });

  it('leaves the user’s object as it is, and freezes what it returns', () => {
    const uri = ['amqp://a'];
    const user = {
      service: 'order',
      rabbitmq: { uri },
      publish: { backoff: { maxMs: 5000 } },
      hooks: { dead: jest.fn() },
    };
    const before = structuredClone({ ...user, hooks: {} });
    const resolved = resolveOptions(user);

    expect({ ...user, hooks: {} }).toEqual(before);
    expect(Object.isFrozen(user.rabbitmq) || Object.isFrozen(user.publish.backoff) || Object.isFrozen(uri)).toBe(false);
    uri.push('amqp://b');
    user.publish.backoff.maxMs = 1;
    expect(resolved.rabbitmq.uris).toEqual(['amqp://a']);
    expect(resolved.publish.backoff.maxMs).toBe(5000);

    const frozen = (value: unknown): boolean =>
      typeof value !== 'object' || value === null || (Object.isFrozen(value) && Object.values(value).every(frozen));
    expect(frozen(resolved)).toBe(true);
    const memory: ResolvedOptions = resolveOptions({ service: 'order', transport: new MemoryBroker() });
    expect(Object.isFrozen(memory.transport)).toBe(false);
  });

  describe('hooks', () => {
    it('are called on the object that the user gave, which may be an instance of a class with fields of its own', () => {
      class Metrics {
        deaths = 0;
        dead(): void {
          this.deaths += 1;
        }
      }
      const metrics = new Metrics();
      const [hooks] = resolveOptions({ ...minimal, hooks: metrics }).hooks;
      hooks?.dead?.({ eventId: '1', type: 'a', reason: 'r' });
      expect(metrics.deaths).toBe(1);
    });

    it('have the names of the typed hook map', () => {
      const names = Object.keys(
        resolveOptions({ ...minimal, hooks: new Proxy({}, { get: () => () => undefined, getPrototypeOf: () => null }) })
          .hooks[0] ?? {},
      );
      expect(names).toEqual(
        expect.arrayContaining(['recorded', 'committed', 'dead', 'compensated', 'transportChanged']),
      );
      expect(names.length).toBeGreaterThan(30);
    });
  });
});
