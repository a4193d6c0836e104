// The order service in a process of its own, which a fault test may kill or freeze at a step of the event's way.
import 'reflect-metadata';
import { writeSync } from 'node:fs';
import { ExportResultCode } from '@opentelemetry/core';
import type { SpanExporter } from '@opentelemetry/sdk-trace-base';
import type { Hooks, ReliableMqOptions } from 'nestjs-reliable-mq';
import { ReliableMqOpenTelemetryModule } from 'nestjs-reliable-mq/opentelemetry';
import { testDatabaseAt } from '../../support/database';
import { Telemetry } from '../../support/telemetry';
import { TestApp } from '../../support/test-app';
import { CompensatingOrderService, Effect, OrderService, PlacedOrder } from './order-service';

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** Says each span in the moment in which it ends, as a process that will be killed has to. */
const SPANS_TO_STDOUT: SpanExporter = {
  export: (spans, done) => {
    for (const span of spans) writeSync(1, `span ${JSON.stringify({ name: span.name, ...span.spanContext() })}\n`);
    done({ code: ExportResultCode.SUCCESS });
  },
  shutdown: () => Promise.resolve(),
};

async function main(): Promise<void> {
  const isTraced = process.env['SHOP_TRACED'] === 'yes';
  if (isTraced) new Telemetry(SPANS_TO_STDOUT);
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
  const app = await TestApp.start({
    database: testDatabaseAt(setting('SHOP_DATABASE_URL')),
    entities: [PlacedOrder, Effect],
    providers: [provider],
    imports: isTraced ? [ReliableMqOpenTelemetryModule] : [],
    reliableMq: { ...(JSON.parse(setting('SHOP_OPTIONS')) as ReliableMqOptions), hooks, consumer: false },
  });
  print('started');
  await app.get(provider).placeMany(Number(setting('SHOP_EVENTS')));
  print('placed');
}

void main();
