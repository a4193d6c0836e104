import type { TcpProxy } from '../../tools/servers/tcp-proxy';
import { pause } from '../clock';
import { APPS, type Instance } from '../instance';
import type { Random } from '../random';
import type { FaultKind, World } from './fault';

type Side = 'broker' | 'database';

/** A 56k modem. */
const MODEM_BYTES_PER_SECOND = 7_000;

interface Trouble {
  readonly what: string;
  readonly seconds: number;
  readonly inject: (proxies: readonly TcpProxy[], random: Random) => Promise<string>;
}

const TROUBLES: readonly Trouble[] = [
  {
    what: 'cut',
    seconds: 4,
    inject: async (proxies, random) => {
      const ms = random.integer(1_000, 6_000);
      await Promise.all(proxies.map((proxy) => proxy.cut()));
      await pause(ms);
      await Promise.all(proxies.map((proxy) => proxy.restore()));
      return `${ms} ms`;
    },
  },
  {
    what: 'half-open: bytes vanish, sockets stay',
    seconds: 12,
    inject: async (proxies, random) => {
      const ms = random.integer(6_000, 12_000);
      for (const proxy of proxies) proxy.blackhole(true);
      await pause(ms);
      for (const proxy of proxies) proxy.blackhole(false);
      // What a kernel does in the end with a connection whose peer does not answer; an application has given up before.
      await pause(5_000);
      for (const proxy of proxies) proxy.dropAll();
      return `${ms} ms`;
    },
  },
  {
    what: 'slow: latency',
    seconds: 8,
    inject: async (proxies, random) => {
      const ms = random.integer(50, 400);
      for (const proxy of proxies) proxy.latency(ms, ms);
      await pause(8_000);
      for (const proxy of proxies) proxy.latency(0);
      return `${ms} to ${2 * ms} ms`;
    },
  },
  {
    what: 'slow: the bandwidth of a modem',
    seconds: 8,
    inject: async (proxies) => {
      for (const proxy of proxies) proxy.throttle(MODEM_BYTES_PER_SECOND);
      await pause(8_000);
      for (const proxy of proxies) proxy.throttle(undefined);
      return `${MODEM_BYTES_PER_SECOND} bytes/s`;
    },
  },
  {
    what: 'cut in the midst of a frame',
    seconds: 2,
    inject: async (proxies, random) => {
      const direction = random.pick(['toServer', 'toClient'] as const);
      const bytes = random.integer(1, 3_000);
      for (const proxy of proxies) proxy.cutAfterBytes(direction, bytes);
      await pause(2_000);
      return `after ${bytes} bytes ${direction}`;
    },
  },
];

export const NETWORK_FAULTS: readonly FaultKind[] = (['broker', 'database'] as const).flatMap((side) =>
  TROUBLES.map(({ what, seconds, inject }): FaultKind => ({
    name: `network to the ${side} ${what}`,
    family: 'network',
    lane: `network to the ${side}`,
    seconds,
    inject: async (world, random) => {
      const instances = choose(world, random);
      const proxies = instances.flatMap((instance) => proxiesOf(world, instance, side));
      return `${instances.map(({ name }) => name).join(', ')}: ${await inject(proxies, random)}`;
    },
  })),
);

/** One instance, or all of an app. */
function choose({ landscape }: World, random: Random): readonly Instance[] {
  const instances = landscape.of(random.pick(APPS));
  return random.next() < 0.5 ? instances : [random.pick(instances)];
}

function proxiesOf({ landscape }: World, instance: Instance, side: Side): readonly TcpProxy[] {
  const { broker, database } = landscape.network(instance);
  return side === 'broker' ? broker : [database];
}
