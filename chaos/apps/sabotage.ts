import { openSync, writeSync } from 'node:fs';
import type { CallHandler, DynamicModule, ExecutionContext, NestInterceptor } from '@nestjs/common';
import { Module } from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import { type EventContext, type Hooks, RejectEvent } from 'nestjs-reliable-mq';
import { lastValueFrom, NEVER, type Observable } from 'rxjs';
import { runService } from '../../apps/platform/run-service';
import type { ServiceIdentity, ServiceSettings } from '../../apps/platform/settings';
import { monotonicMs } from '../clock';
import { readSku } from './orders-to-fail';
import { type ArmMessage, type FiredMessage, type Trigger, sameTrigger } from './trigger';

const STEPS: readonly (keyof Hooks)[] = [
  ...([
    'recorded',
    'committed',
    'publishing',
    'sent',
    'confirmed',
    'settling',
    'settled',
    'settleLost',
    'deferred',
  ] as const),
  ...([
    'received',
    'handling',
    'handlerReturned',
    'handled',
    'handlingFailed',
    'duplicate',
    'parked',
    'acknowledged',
  ] as const),
  ...([
    'receiptsSending',
    'receiptsSent',
    'receiptsReceived',
    'receiptsApplied',
    'consumed',
    'lateOutcome',
    'dead',
  ] as const),
  ...(['compensating', 'compensationReturned', 'compensated', 'compensationFailed'] as const),
  ...(['jobStarted', 'jobBatch', 'jobFinished', 'transportChanged'] as const),
];

/** Each job runs every second: nobody wants to read that. */
const NOT_TRACED: ReadonlySet<keyof Hooks> = new Set(['jobStarted', 'jobFinished']);

/** The app as `apps/<name>/main.ts` runs it, with hooks that trace and kill, and handlers that misbehave when told to. */
export function runSabotaged(
  service: ServiceIdentity,
  createModule: (settings: ServiceSettings) => DynamicModule,
): void {
  // The harness is gone: nobody would end this process any more.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  const hooks = saboteur(openTrace());
  void runService(service, (settings) => {
    const reliableMq = { ...settings.reliableMq, hooks };
    return Sabotaged.around(createModule({ ...settings, reliableMq }));
  });
}

class Misbehave implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const [event, attempt] = context.getArgs<[{ readonly sku?: unknown }, EventContext]>();
    const order = typeof event?.sku === 'string' ? readSku(event.sku) : undefined;
    if (!order || order.eventType !== attempt.type || attempt.attempt > order.attempts) return next.handle();
    switch (order.what) {
      case 'throw':
        throw new Error(`told to throw in attempt ${attempt.attempt}`);
      case 'reject':
        throw new RejectEvent('told to reject it');
      case 'abandon':
        // The handler's work goes on, and nobody waits for it: its effects must not reach the database behind the rollback.
        lastValueFrom(next.handle()).catch(() => undefined);
        throw new Error(`told to fail in attempt ${attempt.attempt} while its work goes on`);
      case 'hang':
        return NEVER;
      case 'kill':
        process.kill(process.pid, 'SIGKILL');
        return NEVER;
    }
  }
}

@Module({})
class Sabotaged {
  static around(module: DynamicModule): DynamicModule {
    return { module: Sabotaged, imports: [module], providers: [{ provide: APP_INTERCEPTOR, useClass: Misbehave }] };
  }
}

type Trace = (step: string, detail: unknown) => void;

/** Written at once: what is in a buffer of a process that is killed is lost. */
function openTrace(): Trace {
  const file = process.env.CHAOS_TRACE_FILE;
  if (file === undefined) throw new Error('The chaos harness starts this app, and names its trace file.');
  const descriptor = openSync(file, 'a');
  return (step, detail) => void writeSync(descriptor, `${JSON.stringify([Math.round(monotonicMs()), step, detail])}\n`);
}

function saboteur(trace: Trace): Partial<Hooks> {
  const armed = new Map<Trigger, number>();
  process.on('message', (message: ArmMessage) => {
    if ('arm' in message) armed.set(message.arm, message.arm.nth);
    else for (const trigger of [...armed.keys()]) if (sameTrigger(trigger, message.disarm)) armed.delete(trigger);
  });
  const reached = (step: keyof Hooks, detail: unknown): void => {
    if (!NOT_TRACED.has(step)) trace(step, detail);
    for (const [trigger, left] of armed) {
      if (trigger.step !== step || (trigger.where !== undefined && !JSON.stringify(detail).includes(trigger.where)))
        continue;
      armed.set(trigger, left - 1);
      if (left > 1) continue;
      armed.delete(trigger);
      after(trigger.turns, () => fire(trigger, trace));
    }
  };
  return Object.fromEntries(STEPS.map((step) => [step, (detail: unknown) => reached(step, detail)]));
}

function after(turns: number, work: () => void): void {
  if (turns === 0) work();
  else setImmediate(() => after(turns - 1, work));
}

function fire(trigger: Trigger, trace: Trace): void {
  trace(trigger.action, { step: trigger.step });
  process.send?.({ fired: trigger } satisfies FiredMessage);
  process.kill(process.pid, trigger.action);
}
