// The order service in a process of its own, which a fault test may kill or freeze at a step of the event's way.
import 'reflect-metadata';
import type { Hooks, ReliableMqOptions } from 'nestjs-reliable-mq';
import { startReliableApp } from '../../support/reliable-app';
import { CompensatingOrderService, Effect, OrderService, PlacedOrder } from './order-service';

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

const print = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(): Promise<void> {
  const fault = setting('SHOP_FAULT') as keyof Hooks;
  const signal = setting('SHOP_FAULT_SIGNAL') as NodeJS.Signals;
  let happened = false;
  const hooks: Partial<Hooks> = {
    settleLost: ({ eventId }) => print(`settle lost: ${eventId}`),
    settled: ({ count }) => print(`settled: ${count}`),
    deferred: ({ reason }) => print(`deferred: ${reason}`),
    [fault]: () => {
      if (happened) return;
      happened = true;
      process.kill(process.pid, signal);
    },
  };
  const compensates = fault === 'compensating' || fault === 'compensationReturned';
  const provider = compensates ? CompensatingOrderService : OrderService;
  const app = await startReliableApp({
    url: setting('SHOP_DATABASE_URL'),
    entities: [PlacedOrder, Effect],
    providers: [provider],
    reliableMq: { ...(JSON.parse(setting('SHOP_OPTIONS')) as ReliableMqOptions), hooks, consumer: false },
  });
  print('started');
  await app.get(provider).placeMany(Number(setting('SHOP_EVENTS')));
  print('placed');
}

void main();
