import { monotonicMs, pause, waitUntil } from '../clock';
import { type AppName, APPS, type Instance, libfaketime } from '../instance';
import type { Random } from '../random';
import type { FaultKind, World } from './fault';

const BACK_WITHIN_MS = 30_000;

export const PROCESS_FAULTS: readonly FaultKind[] = [
  ...APPS.flatMap((app): FaultKind[] => [
    {
      name: `SIGKILL of one ${app}`,
      family: 'process',
      lane: app,
      seconds: 3,
      inject: async (world, random) => kill(world, [oneOf(world, app, random)], random),
    },
    {
      name: `SIGKILL of every ${app} at once`,
      family: 'process',
      lane: app,
      seconds: 3,
      inject: async (world, random) => kill(world, world.landscape.of(app), random),
    },
    {
      name: `SIGSTOP of one ${app} for longer than a lease`,
      family: 'process',
      lane: app,
      seconds: 7,
      inject: async (world, random) => {
        const instance = oneOf(world, app, random);
        const ms = random.integer(5_000, 8_000);
        instance.signal('SIGSTOP');
        await pause(ms);
        instance.signal('SIGCONT');
        return `${instance.name} for ${ms} ms`;
      },
    },
    {
      name: `SIGTERM of one ${app} with work in hand`,
      family: 'process',
      lane: app,
      seconds: 4,
      inject: async (world, random) => {
        const instance = oneOf(world, app, random);
        const { starts } = instance;
        instance.signal('SIGTERM');
        const ended = await waitUntil(() => instance.starts > starts, 15_000);
        if (!ended) instance.signal('SIGKILL');
        return `${instance.name}${ended ? '' : ', which did not end within 15 s and was killed'}`;
      },
    },
    {
      name: `clock of one ${app} minutes off`,
      family: 'process',
      lane: app,
      seconds: 10,
      impossible: () => (libfaketime() === undefined ? 'Debian’s faketime is not installed' : undefined),
      inject: async (world, random) => {
        const instance = oneOf(world, app, random);
        const seconds = random.pick([-1, 1]) * random.integer(120, 1_200);
        instance.setClock(seconds);
        await restart(instance);
        await pause(random.integer(4_000, 8_000));
        instance.setClock(0);
        await restart(instance);
        return `${instance.name}, ${seconds} s`;
      },
    },
  ]),
  {
    name: 'SIGKILL of an order and an inventory at once',
    family: 'process',
    lane: 'order',
    seconds: 3,
    inject: async (world, random) =>
      kill(
        world,
        APPS.map((app) => oneOf(world, app, random)),
        random,
      ),
  },
];

export function oneOf({ landscape }: World, app: AppName, random: Random): Instance {
  return random.pick(landscape.of(app));
}

async function kill(_: World, instances: readonly Instance[], random: Random): Promise<string> {
  await pause(random.integer(0, 1_000));
  for (const instance of instances) instance.signal('SIGKILL');
  await Promise.all(instances.map((instance) => back(instance)));
  return instances.map(({ name }) => name).join(', ');
}

async function restart(instance: Instance): Promise<void> {
  instance.signal('SIGKILL');
  await waitUntil(() => instance.pid === undefined, 5_000);
  await back(instance);
}

/** It runs again, or cannot because something else is broken at the moment. */
export async function back(instance: Instance): Promise<void> {
  const end = monotonicMs() + BACK_WITHIN_MS;
  await waitUntil(() => instance.answers(), end - monotonicMs(), 100);
}
