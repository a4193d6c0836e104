import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { eventually } from '../../test/support/eventually';
import { ProxiedConnection, undisturbed } from './proxied-connection';
import { startProxy, type TcpProxy } from './tcp-proxy';

// Loopback sockets of this process only: no server is needed, so this stays with the unit specs.
describe('TcpProxy', () => {
  let server: Server;
  let accepted: Socket[];
  let proxy: TcpProxy;
  let clients: Socket[];

  beforeEach(async () => {
    accepted = [];
    clients = [];
    server = createServer((socket) => {
      accepted.push(socket);
      socket.on('error', () => undefined);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    proxy = await startProxy({ target: { host: '127.0.0.1', port: (server.address() as AddressInfo).port } });
  });

  afterEach(async () => {
    await proxy.close();
    for (const socket of [...clients, ...accepted]) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  async function open(): Promise<{ client: Socket; peer: Socket }> {
    const known = accepted.length;
    const client = connect(proxy.port, '127.0.0.1');
    client.on('error', () => undefined);
    clients.push(client);
    await once(client, 'connect');
    await eventually(() => accepted.length > known);
    return { client, peer: accepted[known] as Socket };
  }

  // events.once() would reject at the error that comes before the close of a reset socket.
  function closed(socket: Socket): Promise<void> {
    return new Promise((resolve) => socket.once('close', () => resolve()));
  }

  function received(socket: Socket): () => Buffer {
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    return () => Buffer.concat(chunks);
  }

  it('passes bytes in both directions, in order', async () => {
    const { client, peer } = await open();
    const [atPeer, atClient] = [received(peer), received(client)];
    const sent = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251));
    client.write(sent);
    peer.write('answer');
    await eventually(() => atPeer().equals(sent) && atClient().toString() === 'answer');
  });

  it('passes an end on in its own direction only', async () => {
    const { client, peer } = await open();
    const atClient = received(client);
    peer.resume();
    peer.once('end', () => peer.end('last words'));
    client.end();
    await eventually(() => atClient().toString() === 'last words');
    await eventually(() => proxy.connections === 0);
  });

  it('puts itself into a url and keeps the rest', () => {
    expect(proxy.url('amqp://guest:guest@broker:5672/vhost?heartbeat=5')).toBe(
      `amqp://guest:guest@127.0.0.1:${proxy.port}/vhost?heartbeat=5`,
    );
  });

  it('resets all and refuses new connections when cut, until restored on the same port', async () => {
    const { client } = await open();
    const { port } = proxy;
    const end = closed(client);
    await proxy.cut();
    await end;
    const [refused] = (await once(connect(port, '127.0.0.1'), 'error')) as [NodeJS.ErrnoException];
    expect(refused.code).toBe('ECONNREFUSED');
    await proxy.cut();
    await proxy.restore();
    await proxy.restore();
    expect(proxy.port).toBe(port);
    await open();
  });

  it('resets all once when it drops them', async () => {
    const { client, peer } = await open();
    peer.resume();
    const ends = Promise.all([closed(client), closed(peer)]);
    proxy.dropAll();
    await ends;
    expect(proxy.connections).toBe(0);
    await open();
    expect(proxy.connections).toBe(1);
  });

  it('swallows bytes and keeps the sockets while it is a black hole', async () => {
    const { client, peer } = await open();
    const [atPeer, atClient] = [received(peer), received(client)];
    proxy.blackhole(true);
    client.write('lost');
    peer.write('lost');
    await eventually(() => proxy.swallowedBytes === 8);
    proxy.blackhole(false);
    client.write('kept');
    peer.write('kept');
    await eventually(() => atPeer().length >= 4 && atClient().length >= 4);
    expect([atPeer().toString(), atClient().toString()]).toEqual(['kept', 'kept']);
    expect([client.destroyed, peer.destroyed]).toEqual([false, false]);
  });

  it('delays every byte by the latency and never reorders, with jitter too', async () => {
    const { client, peer } = await open();
    const atPeer = received(peer);
    proxy.latency(50, 30);
    const start = performance.now();
    for (let index = 0; index < 50; index += 1) client.write(`${index};`);
    const expected = Array.from({ length: 50 }, (_, index) => `${index};`).join('');
    await eventually(() => atPeer().toString() === expected);
    expect(performance.now() - start).toBeGreaterThanOrEqual(49);
  });

  it('limits the bytes per second, and lifts the limit', async () => {
    const { client, peer } = await open();
    const atPeer = received(peer);
    proxy.throttle(100_000);
    const start = performance.now();
    client.write(Buffer.alloc(30_000));
    await eventually(() => atPeer().length === 30_000);
    expect(performance.now() - start).toBeGreaterThanOrEqual(200);
    proxy.throttle(undefined);
    client.write(Buffer.alloc(5_000_000));
    await eventually(() => atPeer().length === 5_030_000, { deadlineMs: 5_000 });
  });

  it('refuses a limit that would stop everything', () => {
    expect(() => proxy.throttle(0)).toThrow('positive number of bytes');
  });

  it.each(['toServer', 'toClient'] as const)(
    'cuts after the n-th byte %s, in the midst of a message',
    async (direction) => {
      const { client, peer } = await open();
      const [from, to] = direction === 'toServer' ? [client, peer] : [peer, client];
      const arrived = received(to);
      const ends = Promise.all([closed(client), closed(peer)]);
      proxy.cutAfterBytes(direction, 7);
      from.write('0123');
      from.write('456789');
      await ends;
      expect(arrived().toString()).toBe('0123456');
      const again = await open();
      const atPeer = received(again.peer);
      again.client.write('0123456789');
      await eventually(() => atPeer().toString() === '0123456789');
    },
  );

  it('stops reading from a sender whose receiver does not read', async () => {
    const { client, peer } = await open();
    peer.pause();
    let passed = 0;
    const chunk = Buffer.alloc(1024 * 1024);
    const limit = 200;
    const writeOn = (): void => {
      if (passed < limit) {
        client.write(chunk, () => {
          passed += 1;
          writeOn();
        });
      }
    };
    writeOn();
    let before = -1;
    await eventually(
      () => {
        const still = passed === before;
        before = passed;
        return still;
      },
      { intervalMs: 200 },
    );
    expect(passed).toBeLessThan(limit);
    peer.resume();
    await eventually(() => passed === limit);
  });

  it('leaves no handle behind when it is cut while an end is on its way', async () => {
    const handles = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
    const before = handles();
    const { client, peer } = await open();
    const connection = new ProxiedConnection(client, peer, undisturbed(), () => undefined);
    client.end('x');
    connection.destroy();
    proxy.dropAll();
    await eventually(() => expect(handles()).toBe(before));
  });

  it('closes both sides when the target refuses', async () => {
    const nobody = await startProxy({ target: { host: '127.0.0.1', port: 1 } });
    const client = connect(nobody.port, '127.0.0.1');
    client.on('error', () => undefined);
    await closed(client);
    expect(nobody.connections).toBe(0);
    await nobody.close();
  });
});
