import type { Trigger } from '../apps/trigger';
import { pause } from '../clock';
import type { AppName, Instance } from '../instance';
import type { Random } from '../random';
import { EACH_TIME, skuThatFails } from '../apps/orders-to-fail';
import { type FaultKind, FaultMissed, type World } from './fault';
import { back, oneOf } from './processes';

/** Something else may be broken at the moment. */
const REACHED_WITHIN_MS = 40_000;
/** Frozen at a step: longer than a lease of the outbox and than a handler may take. */
const FROZEN_MS = 6_000;
/** Longer than the broker waits for a heartbeat, and than the lease of a handling: its messages are another's by then. */
const FROZEN_LONG_MS = 30_000;

/** Where processes freeze, and for how long. */
const FREEZES: readonly { readonly at: string; readonly ms: number; readonly forLong?: string }[] = [
  { at: 'sent', ms: FROZEN_MS },
  { at: 'settling', ms: FROZEN_MS },
  { at: 'handlerReturned', ms: FROZEN_MS },
  { at: 'handlerReturned', ms: FROZEN_LONG_MS, forLong: 'until its messages are given to another' },
];

interface Step {
  readonly app: AppName;
  readonly what: string;
  readonly step: string;
  readonly where?: string;
  /** What makes the step come, where ordinary orders don't. */
  readonly provoke?: (world: World) => Promise<unknown>;
}

/** An order that inventory gives up: it dies, its receipt makes order.created dead, and it is compensated. */
const giveUp = (world: World): Promise<unknown> =>
  world.load.place(skuThatFails({ what: 'reject', attempts: EACH_TIME, eventType: 'order.created' }));
const failOnce = (world: World): Promise<unknown> =>
  world.load.place(skuThatFails({ what: 'throw', attempts: 2, eventType: 'order.created' }));
/** A lost message: nobody reports it. */
const loseMessages = async ({ landscape }: World): Promise<void> => {
  for (const instance of landscape.of('inventory')) instance.signal('SIGSTOP');
  await pause(500);
  await landscape
    .node()
    .purgeQueue('inventory.order.created')
    .catch(() => undefined);
  for (const instance of landscape.of('inventory')) instance.signal('SIGCONT');
};

const ORDER_CREATED = '"type":"order.created"';

const STEPS: readonly Step[] = [
  { app: 'order', what: 'before the commit', step: 'recorded' },
  { app: 'order', what: 'after the commit', step: 'committed' },
  { app: 'order', what: 'before the publish', step: 'publishing' },
  { app: 'order', what: 'after the publish, before the confirm', step: 'sent' },
  { app: 'order', what: 'after the confirm', step: 'confirmed' },
  { app: 'order', what: 'before settling', step: 'settling' },
  { app: 'order', what: 'after settling', step: 'settled' },
  { app: 'inventory', what: 'when a message arrives', step: 'received', where: 'inventory.order.created' },
  { app: 'inventory', what: 'before the handler', step: 'handling', where: ORDER_CREATED },
  { app: 'inventory', what: 'after the handler, before the commit', step: 'handlerReturned', where: ORDER_CREATED },
  { app: 'inventory', what: 'after the commit, before the ack', step: 'handled', where: ORDER_CREATED },
  { app: 'inventory', what: 'after the ack', step: 'acknowledged', where: 'inventory.order.created' },
  { app: 'inventory', what: 'before the receipt', step: 'receiptsSending', where: 'order.receipts.quorum' },
  { app: 'inventory', what: 'after the receipt', step: 'receiptsSent', where: 'order.receipts.quorum' },
  { app: 'order', what: 'when receipts arrive', step: 'receiptsReceived' },
  { app: 'order', what: 'after receipts are written, before their ack', step: 'receiptsApplied' },
  { app: 'inventory', what: 'when an answer is recorded', step: 'recorded', where: 'inventory.deducted' },
  { app: 'order', what: 'before the answer’s handler', step: 'handling', where: 'inventory.deducted' },
  {
    app: 'order',
    what: 'after the answer’s handler, before the commit',
    step: 'handlerReturned',
    where: 'inventory.deducted',
  },
  { app: 'order', what: 'after the answer’s commit, before the ack', step: 'handled', where: 'inventory.deducted' },
  {
    app: 'order',
    what: 'inside the publish job',
    step: 'jobBatch',
    where: '"job":"publish"',
    provoke: async (world) => {
      // Events of a killed process are what the job is for.
      const [first, ...others] = world.landscape.of('order');
      if (others.length === 0) return;
      await first?.dieAt({ step: 'committed', nth: 3, turns: 0, action: 'SIGKILL' }, REACHED_WITHIN_MS);
    },
  },
  { app: 'order', what: 'inside the chase job', step: 'jobBatch', where: '"job":"chase"', provoke: loseMessages },
  { app: 'order', what: 'inside the compensate job', step: 'jobBatch', where: '"job":"compensate"', provoke: giveUp },
  { app: 'inventory', what: 'inside the retry job', step: 'jobBatch', where: '"job":"retry"', provoke: failOnce },
  { app: 'order', what: 'inside the job that prunes the outbox', step: 'jobStarted', where: '"job":"prune-outbox"' },
  { app: 'inventory', what: 'inside the job that prunes the inbox', step: 'jobStarted', where: '"job":"prune-inbox"' },
  { app: 'order', what: 'before a compensation handler', step: 'compensating', provoke: giveUp },
  {
    app: 'order',
    what: 'inside a compensation handler, before its commit',
    step: 'compensationReturned',
    provoke: giveUp,
  },
  { app: 'order', what: 'after a compensation handler’s commit', step: 'compensated', provoke: giveUp },
];

export const STEP_FAULTS: readonly FaultKind[] = [
  ...STEPS.map((step): FaultKind => ({
    name: `${step.app} dies ${step.what}`,
    family: 'step',
    lane: step.app,
    seconds: 5,
    inject: async (world, random) => {
      const victims = step.provoke ? world.landscape.of(step.app) : [oneOf(world, step.app, random)];
      return dieAtStep(world, victims, step, random);
    },
  })),
  {
    name: 'two processes die at steps, one right after the other',
    family: 'step',
    lane: 'order',
    seconds: 6,
    inject: async (world, random) => {
      const steps = random.shuffled(STEPS.filter(({ provoke }) => !provoke)).slice(0, 2);
      const done = await Promise.all(
        steps.map((step) => dieAtStep(world, [oneOf(world, step.app, random)], step, random)),
      );
      return done.join('; ');
    },
  },
  ...FREEZES.map(({ at, ms, forLong }): FaultKind => {
    const step = STEPS.find((one) => one.step === at) as Step;
    return {
      name: `${step.app} freezes ${step.what}${forLong ? `, ${forLong}` : ''}`,
      family: 'step',
      lane: step.app,
      seconds: ms / 1_000 + 2,
      inject: async (world, random) => {
        const instance = oneOf(world, step.app, random);
        await reach(world, [instance], step, { ...trigger(step, random), action: 'SIGSTOP' });
        await pause(ms);
        instance.signal('SIGCONT');
        return `${instance.name} for ${ms} ms`;
      },
    };
  }),
];

async function dieAtStep(world: World, victims: readonly Instance[], step: Step, random: Random): Promise<string> {
  const at = trigger(step, random);
  const died = await reach(world, victims, step, at);
  await Promise.all(died.map((instance) => back(instance)));
  return `${died.map(({ name }) => name).join(', ')} at ${step.step}, time ${at.nth}, ${at.turns} turns later`;
}

async function reach(world: World, victims: readonly Instance[], step: Step, at: Trigger): Promise<Instance[]> {
  const waiting = Promise.all(victims.map((instance) => instance.dieAt(at, REACHED_WITHIN_MS)));
  await step.provoke?.(world);
  const reached = await waiting;
  const there = victims.filter((_, index) => reached[index]);
  if (there.length === 0)
    throw new FaultMissed(`no instance reached ${step.step} within ${REACHED_WITHIN_MS / 1_000} s`);
  return there;
}

function trigger({ step, where, provoke }: Step, random: Random): Trigger {
  return {
    step,
    ...(where !== undefined && { where }),
    nth: provoke ? 1 : random.integer(1, 20),
    turns: random.pick([0, 0, 1, 2]),
    action: 'SIGKILL',
  };
}
