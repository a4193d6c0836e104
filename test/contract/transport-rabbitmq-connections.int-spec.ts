import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AmqpConnection } from '@golevelup/nestjs-rabbitmq';
import type { Transport } from '../../libs/reliable-mq/src/broker/transport';
import { freePort } from '../../tools/servers/ports';
import { startRabbitmq, type RabbitmqNode } from '../../tools/servers/rabbitmq';
import { eventually } from '../support/eventually';
import { CLOSES_WITHIN_MS, within } from './transport-rabbitmq/private-broker';
import { RabbitMqHarness, createTransport, type TransportSettings } from './transport-rabbitmq-harness';
import { available, collector, publish } from './transport-requests';
import { silentLogger } from './transport-silent-logger';

jest.setTimeout(120_000);

describe('RabbitMqTransport, by the way it is connected', () => {
  const certificates = makeCertificates();
  let node: RabbitmqNode;
  let tlsPort: number;
  let harness: RabbitMqHarness;
  const transports: Transport[] = [];
  let count = 0;

  beforeAll(async () => {
    tlsPort = await freePort();
    node = await startRabbitmq({
      config: {
        'listeners.ssl.1': `127.0.0.1:${tlsPort}`,
        'ssl_options.cacertfile': certificates.path('ca.pem'),
        'ssl_options.certfile': certificates.path('server.pem'),
        'ssl_options.keyfile': certificates.path('server.key'),
        'ssl_options.verify': 'verify_peer',
        'ssl_options.fail_if_no_peer_cert': 'true',
      },
    });
    harness = await RabbitMqHarness.open(node.url);
  }, 120_000);

  afterEach(async () => {
    await Promise.all(transports.splice(0).map((transport) => transport.close()));
  });

  afterAll(async () => {
    await harness.dispose();
    await node.dispose();
    certificates.remove();
  }, 60_000);

  async function started(uri: string, settings: TransportSettings = {}): Promise<Transport> {
    const transport = createTransport(uri, { exchange: harness.exchange, ...settings });
    transports.push(transport);
    await transport.start();
    return transport;
  }

  async function expectWorks(transport: Transport): Promise<void> {
    await available(transport);
    const name = harness.queueName(`c${(count += 1)}`);
    const deliveries = collector();
    await transport.subscribe(
      { name, kind: 'events', bindings: [name], parkingQueue: harness.queueName('c.parked') },
      5,
      deliveries.take,
    );
    await eventually(async () => expect(await publish(transport, { routingKey: name })).toEqual({ status: 'routed' }));
    await deliveries.next(1);
  }

  describe('over TLS', () => {
    const tls = {
      ca: certificates.read('ca.pem'),
      cert: certificates.read('client.pem'),
      key: certificates.read('client.key'),
      passphrase: 'client-secret',
      servername: 'mq.test',
    };
    const uri = (): string => `amqps://guest:guest@127.0.0.1:${tlsPort}`;

    it('publishes and consumes, with a certificate of its own', async () => {
      await expectWorks(await started(uri(), { tls }));
    });

    it.each([
      ['a server that it does not know', { ...tls, ca: certificates.read('other-ca.pem') }, /certificate/],
      ['a server of another name', { ...tls, servername: 'elsewhere.test' }, /elsewhere\.test|altnames/i],
      ['no certificate of its own', { ca: tls.ca, servername: tls.servername }, /./],
    ])('is not connected to %s, and says why', async (_, options, reason) => {
      const transport = await started(uri(), { tls: options });
      await eventually(() =>
        expect(transport.status().reason).toMatch(/^not connected to amqps:\/\/guest:\*\*\*@.*: (?!connecting$)/),
      );
      expect(transport.status()).toEqual({ available: false, reason: expect.stringMatching(reason) });
    });

    it('closes while a server does not answer the handshake', async () => {
      harness.proxy.blackhole(true);
      try {
        const silent = new URL(harness.proxy.url(node.url));
        silent.protocol = 'amqps:';
        const transport = await started(silent.href, { tls });
        await within(CLOSES_WITHIN_MS, transport.close());
      } finally {
        harness.proxy.blackhole(false);
      }
    });
  });

  it('asks for the credentials at each attempt, so that a password that was changed needs no restart', async () => {
    await node.ctl('add_user', 'shop', 'first');
    await node.ctl('set_permissions', 'shop', '.*', '.*', '.*');
    let password = 'first';
    const uri = node.url.replace('guest:guest@', '');
    const transport = await started(uri, { credentials: async () => ({ username: 'shop', password }) });
    await expectWorks(transport);

    await node.ctl('change_password', 'shop', 'second');
    await node.closeAllConnections('password changed');
    await harness.reopenAdmin();
    await eventually(() => expect(transport.status().reason).toMatch(/does not accept the password of user "shop"/));
    expect(JSON.stringify(transport.status())).not.toContain('first');

    password = 'second';
    await expectWorks(transport);
  });

  it.each([
    ['rejects', () => Promise.reject(new Error('the vault is sealed')), /the vault is sealed/],
    ['throws', () => { throw new Error('the vault is sealed'); }, /the vault is sealed/], // prettier-ignore
  ])('says why it has no credentials when the function %s, and asks again', async (_, fail, reason) => {
    let works = false;
    const uri = node.url.replace('guest:guest@', '');
    const credentials = (): Promise<{ username: string; password: string }> =>
      works ? Promise.resolve({ username: 'guest', password: 'guest' }) : fail();
    const transport = await started(uri, { credentials });
    await eventually(() => expect(transport.status().reason).toMatch(reason));
    works = true;
    await available(transport);
  });

  it('is not held up in closing by credentials that never come', async () => {
    const transport = await started(node.url.replace('guest:guest@', ''), {
      credentials: () => new Promise(() => undefined),
    });
    await within(CLOSES_WITHIN_MS, transport.close());
  });

  describe("over the application's own AmqpConnection", () => {
    async function amqpConnection(uri = node.url): Promise<AmqpConnection> {
      const connection = new AmqpConnection({
        name: 'application',
        uri,
        connectionInitOptions: { wait: true, skipConnectionFailedLogging: true, skipDisconnectFailedLogging: true },
        connectionManagerOptions: {
          reconnectTimeInSeconds: 0.05,
          connectionOptions: { clientProperties: { connection_name: 'application' } },
        },
        enableDirectReplyTo: false,
        logger: silentLogger,
      });
      await connection.init();
      return connection;
    }

    const connectionNames = async (): Promise<string> =>
      node.ctl('--quiet', 'list_connections', '--no-table-headers', 'client_properties');

    it('publishes and consumes beside the application, and leaves it open', async () => {
      const connection = await amqpConnection();
      const transport = await started('', { connection });
      await expectWorks(transport);

      const names = await connectionNames();
      expect(names).toContain('contract (consume)');
      expect(names).not.toContain('contract (publish)');
      const queue = harness.queueName('of.the.application');
      const seen: unknown[] = [];
      await connection.createSubscriber(
        async (body) => void seen.push(body),
        { queue, allowNonJsonMessages: true },
        'seen',
      );

      await transport.close();

      await connection.publish('', queue, { still: 'there' });
      await eventually(() => expect(seen).toEqual([{ still: 'there' }]));
      await connection.close();
    });

    it('goes on when the connection was lost and its owner has made it again', async () => {
      const connection = await amqpConnection(harness.proxy.url(node.url));
      const transport = await started('', { connection });
      await expectWorks(transport);
      harness.proxy.dropAll();
      await expectWorks(transport);
      await transport.close();
      await connection.close();
    });

    it('goes on acknowledging while an alarm blocks what publishes', async () => {
      const connection = await amqpConnection();
      const transport = await started('', { connection });
      await available(transport);
      const name = harness.queueName(`c${(count += 1)}`);
      const deliveries = collector({ settle: false });
      await transport.subscribe({ name, kind: 'receipts', bindings: [] }, 1, deliveries.take);
      await Promise.all([publish(transport, { queue: name }), publish(transport, { queue: name })]);
      const [first] = await deliveries.next(1);
      await node.setMemoryAlarm(true);
      try {
        await eventually(async () => expect((await publish(transport, { queue: name })).status).toBe('unavailable'));
        first?.ack();
        await deliveries.next(2);
      } finally {
        await node.setMemoryAlarm(false);
      }
      await available(transport);
      await transport.close();
      await connection.close();
    });
  });
});

/** An authority, a server `mq.test` and a client that it vouches for, and an authority that it knows nothing of. */
function makeCertificates(): { path(name: string): string; read(name: string): string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'reliable-mq-tls-'));
  const path = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const authority = (name: string): void =>
    openssl(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '1',
      '-subj',
      `/CN=${name}`,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.pem`,
    );
  const signed = (name: string, subject: string, ...key: string[]): void => {
    openssl(
      'req',
      '-newkey',
      'rsa:2048',
      ...key,
      '-subj',
      `/CN=${subject}`,
      '-addext',
      `subjectAltName=DNS:${subject}`,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
    );
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-days',
      '1',
      '-copy_extensions',
      'copy',
      '-out',
      `${name}.pem`,
    );
  };
  authority('ca');
  authority('other-ca');
  signed('server', 'mq.test', '-nodes');
  signed('client', 'client.test', '-passout', 'pass:client-secret');
  return { path, read: (name) => readFileSync(path(name), 'utf8'), remove: () => rmSync(folder, { recursive: true }) };
}
