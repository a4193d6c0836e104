import 'reflect-metadata';
import { ConsoleLogger, Injectable } from '@nestjs/common';
import { Transform } from 'class-transformer';
import { IsString } from 'class-validator';
import {
  type BatchContext,
  type EventContext,
  type Hooks,
  ReliableEvent,
  ReliableEventHandler,
} from 'nestjs-reliable-mq';
import { testDatabaseAt } from '../../support/database';
import { TestApp } from '../../support/test-app';
import type { ConsumerAppEnvironment } from './consumer-process';

// A consumer as a process of its own, which fault tests kill. What it does with a message is written in the message; at which
// step it dies is said by its environment.

const environment = process.env as unknown as ConsumerAppEnvironment;

const PLACEHOLDERS = environment.DATABASE_URL.startsWith('postgres') ? '$1, $2' : '?, ?';

/** As when the machine loses power: nothing is closed, nothing is said. */
function die(): void {
  process.kill(process.pid, 'SIGKILL');
  // The signal is delivered a moment later; nothing may happen until then.
  for (;;);
}

let hasFrozen = false;

/** As when the machine is suspended, or its network is gone: connections stay open, and nobody speaks. Once. */
function freeze(): void {
  if (hasFrozen) return;
  hasFrozen = true;
  process.kill(process.pid, 'SIGSTOP');
}

function say(what: string, details: object): void {
  process.stdout.write(`${JSON.stringify({ what, ...details })}\n`);
}

@ReliableEvent({ type: 'load.arrived' })
class LoadArrived {
  @IsString() @Transform(({ value }: { value: string }) => (value === 'kill when read' ? die() : value)) text!: string;
}

/** What only the next release knows. */
@ReliableEvent({ type: 'load.arrived', version: 2 })
class LoadArrivedLater {
  @IsString() text!: string;
}

async function load(
  { text }: LoadArrived,
  { manager, eventId, attempt }: Pick<EventContext, 'manager' | 'eventId' | 'attempt'>,
): Promise<void> {
  await manager.query(`INSERT INTO effect (event_id, text) VALUES (${PLACEHOLDERS})`, [eventId, text]);
  const [verb, argument] = text.split(' ');
  if (verb === 'kill') die();
  if (verb === 'fail' && attempt <= Number(argument)) throw new Error(`attempt ${attempt} failed`);
  if (verb === 'hang' && environment.MAY_HANG === 'yes') await new Promise(() => setInterval(() => undefined, 60_000));
  if (verb === 'sleep') await new Promise((resolve) => setTimeout(resolve, Number(argument)));
}

@Injectable()
class LoadHandler {
  @ReliableEventHandler(LoadArrived)
  handle(event: LoadArrived, context: EventContext): Promise<void> {
    return load(event, context);
  }
}

@Injectable()
class LoadsHandler {
  @ReliableEventHandler(LoadArrived, { batch: { size: 5, waitMs: 50 } })
  async handle(events: LoadArrived[], { manager, messages }: BatchContext): Promise<void> {
    for (const [index, { eventId, attempt }] of messages.entries())
      await load(events[index] as LoadArrived, { manager, eventId, attempt });
  }
}

@Injectable()
class LaterHandler {
  @ReliableEventHandler(LoadArrivedLater)
  handle(event: LoadArrivedLater, context: EventContext): Promise<void> {
    return load(event, context);
  }
}

const STEPS: readonly (keyof Hooks)[] = [
  'received',
  'handling',
  'handlerReturned',
  'handled',
  'handlingFailed',
  'duplicate',
  'acknowledged',
  'receiptsSent',
];

/** Says each step, and dies or freezes at one of them. */
const hooks: Partial<Hooks> = Object.fromEntries(
  STEPS.map((step) => [
    step,
    (argument: object): void => {
      say(step, argument);
      if (step === environment.DIE_AT) die();
      if (step === environment.FREEZE_AT) freeze();
    },
  ]),
);

async function main(): Promise<void> {
  const app = await TestApp.start({
    database: testDatabaseAt(environment.DATABASE_URL),
    poolSize: 20,
    providers: [
      environment.IN_BATCHES === 'yes' ? LoadsHandler : LoadHandler,
      ...(environment.RELEASE === 'next' ? [LaterHandler] : []),
    ],
    logger: new ConsoleLogger({ logLevels: ['error', 'warn'] }),
    reliableMq: {
      service: environment.SERVICE,
      rabbitmq: {
        uri: environment.AMQP_URL,
        exchange: environment.EXCHANGE,
        reconnectMs: 100,
        heartbeatSeconds: Number(environment.HEARTBEAT_SECONDS ?? 10),
      },
      consume: {
        timeoutMs: Number(environment.TIMEOUT_MS ?? 5_000),
        prefetch: 10,
        backoff: { initialMs: 50, maxMs: 200, jitter: 0 },
      },
      compensation: { intervalMs: 100 },
      shutdown: { drainMs: Number(environment.DRAIN_MS ?? 5_000) },
      hooks,
    },
  });
  app.context.enableShutdownHooks();
  say('ready', {});
}

void main();
