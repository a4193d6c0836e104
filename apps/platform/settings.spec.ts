import { InvalidSettingsError, logLevelsUpTo, merge, readSettings, type ServiceIdentity } from './settings';

const SHOP: ServiceIdentity = { name: 'shop', defaultPort: 3009, mqService: 'shop', exchange: 'reliable-mq' };

function problemsOf(env: NodeJS.ProcessEnv): readonly string[] {
  try {
    readSettings(SHOP, env);
    return [];
  } catch (error) {
    if (error instanceof InvalidSettingsError) return error.problems;
    throw error;
  }
}

describe('readSettings', () => {
  it('needs nothing: everything has a default for servers on this machine', () => {
    expect(readSettings(SHOP, {})).toMatchObject({
      port: 3009,
      databaseUrl: 'postgres://postgres:postgres@localhost:5432/reliable_mq_shop',
      reliableMq: { service: 'shop', rabbitmq: { uri: 'amqp://guest:guest@localhost:5672', exchange: 'reliable-mq' } },
      logging: { level: 'log', json: false },
      isObserved: false,
    });
  });

  it('has a console only where there is a password, and other databases only where the environment says so', () => {
    const order = { ...SHOP, looksAt: ['stock'] };
    expect(readSettings(order, { STOCK_DATABASE_URL: 'postgres://me@db/stock' }).console).toBeUndefined();
    expect(readSettings(order, { CONSOLE_PASSWORD: 'x' }).console).toEqual({ password: 'x', databases: [] });
    expect(
      readSettings(order, { CONSOLE_PASSWORD: 'x', STOCK_DATABASE_URL: 'postgres://me@db/stock' }).console,
    ).toEqual({ password: 'x', databases: [{ name: 'stock', url: 'postgres://me@db/stock' }] });
  });

  it('takes what the environment says, and lays RELIABLE_MQ_OPTIONS over its own options group by group', () => {
    const settings = readSettings(SHOP, {
      SHOP_PORT: '0',
      SHOP_DATABASE_URL: 'postgresql://me@db/shop',
      AMQP_URL: 'amqps://broker',
      RELIABLE_MQ_OPTIONS: '{"consume":{"maxAttempts":3},"rabbitmq":{"reconnectMs":50},"schema":"verify"}',
      LOG_LEVEL: 'warn',
      NODE_ENV: 'production',
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318',
    });
    expect(settings).toMatchObject({
      port: 0,
      databaseUrl: 'postgresql://me@db/shop',
      reliableMq: {
        schema: 'verify',
        rabbitmq: { uri: 'amqps://broker', exchange: 'reliable-mq', reconnectMs: 50 },
        consume: { maxAttempts: 3, prefetch: 5, timeoutMs: 5_000 },
      },
      logging: { level: 'warn', json: true },
      isObserved: true,
    });
  });

  it('names everything that is wrong at once, without the database password', () => {
    expect(
      problemsOf({
        SHOP_PORT: '70000',
        SHOP_DATABASE_URL: 'sqlite://me:secret@db/shop',
        RELIABLE_MQ_OPTIONS: '[1]',
        LOG_LEVEL: 'loud',
      }),
    ).toEqual([
      'SHOP_PORT must be a port from 0 to 65535, got "70000".',
      'SHOP_DATABASE_URL must be a url such as postgres://user:password@host:5432/database or mariadb://user:password@host:3306/database.',
      'RELIABLE_MQ_OPTIONS must be a JSON object, got [1].',
      'LOG_LEVEL must be one of fatal, error, warn, log, debug, verbose, got "loud".',
    ]);
  });

  it.each(['postgres', 'postgresql', 'mysql', 'mariadb'])('takes a database of %s', (protocol) => {
    const url = `${protocol}://me@db/shop`;
    expect(readSettings(SHOP, { SHOP_DATABASE_URL: url })).toMatchObject({ databaseUrl: url });
  });

  it.each(['-1', '3001.5', 'http', ' 80', '0x50', '65536'])('refuses the port %j', (port) => {
    expect(problemsOf({ SHOP_PORT: port })).toHaveLength(1);
  });

  it('refuses a database url without a database, and options that are no JSON', () => {
    expect(problemsOf({ SHOP_DATABASE_URL: 'postgres://db' })).toHaveLength(1);
    expect(problemsOf({ RELIABLE_MQ_OPTIONS: '{consume:' })).toEqual([
      expect.stringMatching(/^RELIABLE_MQ_OPTIONS must be a JSON object: /),
    ]);
  });
});

describe('merge', () => {
  it('replaces values and lists, goes into groups, and changes neither side', () => {
    const base = { a: { b: 1, c: [1, 2] }, d: 'x' };
    expect(merge(base, { a: { c: [3] }, e: null })).toEqual({ a: { b: 1, c: [3] }, d: 'x', e: null });
    expect(base).toEqual({ a: { b: 1, c: [1, 2] }, d: 'x' });
  });
});

describe('logLevelsUpTo', () => {
  it('gives the level and everything graver', () => {
    expect(logLevelsUpTo('warn')).toEqual(['fatal', 'error', 'warn']);
  });
});
