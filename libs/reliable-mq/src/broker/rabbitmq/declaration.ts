import type { Channel } from 'amqplib';
import { InvalidSetupError } from '../../event/errors';
import type { QueueSpec } from '../transport';
import { queueArguments, type QueueOptions } from './queue-arguments';
import { replyCode, serverText } from './self-healing-channel';

const ACCESS_REFUSED = 403;
const NOT_FOUND = 404;
const PRECONDITION_FAILED = 406;

export interface ExchangeOptions {
  readonly exchange: string;
  /** `verify`: nothing is declared or bound, only looked for. */
  readonly topology: 'declare' | 'verify';
}

export interface DeclarationOptions extends ExchangeOptions, QueueOptions {}

/** The name, kind and, of an event queue, parking queue of what is to be declared. */
type DeclaredQueue = Pick<QueueSpec, 'name' | 'kind' | 'parkingQueue'>;

/**
 * Makes the exchange exist, or looks whether it does.
 * @throws InvalidSetupError when it exists with other properties, or is to be looked for and missing; else amqplib's error
 */
export async function provideExchange(channel: Channel, { exchange, topology }: ExchangeOptions): Promise<void> {
  if (topology === 'verify') {
    const command = `rabbitmqadmin declare exchange name=${exchange} type=topic durable=true`;
    return lookFor(`Exchange "${exchange}"`, [command], () => channel.checkExchange(exchange));
  }
  const remedy =
    'delete it, or choose another name with the option rabbitmq.exchange; it must be a durable topic exchange';
  await explaining(`Exchange "${exchange}"`, remedy, () =>
    channel.assertExchange(exchange, 'topic', { durable: true }),
  );
}

/**
 * Makes the queue, its parking queue and its bindings exist, or looks whether the queues do: bindings can't be looked for.
 * @returns false for an `existing` queue that is not there
 * @throws InvalidSetupError when something exists with other properties, or is to be looked for and missing; else amqplib's error
 */
export async function provideQueue(channel: Channel, spec: QueueSpec, options: DeclarationOptions): Promise<boolean> {
  if (spec.kind === 'existing') return exists(channel, spec.name);
  const queues: readonly DeclaredQueue[] =
    spec.parkingQueue === undefined ? [spec] : [{ name: spec.parkingQueue, kind: 'parking' }, spec];
  for (const queue of queues) {
    if (options.topology === 'declare') {
      await assertQueue(channel, queue, options);
    } else {
      const commands = commandsFor(queue, queue === spec ? spec.bindings : [], options);
      await lookFor(`Queue "${queue.name}"`, commands, () => channel.checkQueue(queue.name));
    }
  }
  if (options.topology === 'declare') {
    for (const key of spec.bindings) await channel.bindQueue(spec.name, options.exchange, key);
  }
  return true;
}

/** Why something failed at the broker, for people. */
export function problemText(error: unknown): string {
  if (error instanceof InvalidSetupError) return error.problems.join(' ');
  const text = serverText(error);
  if (replyCode(error) !== ACCESS_REFUSED) return text;
  return `${text}. Give this user the rights that docs/production.md lists; one without the right to configure needs rabbitmq.topology: 'verify'`;
}

async function assertQueue(
  channel: Channel,
  { name, kind, parkingQueue }: DeclaredQueue,
  options: DeclarationOptions,
): Promise<void> {
  const remedy =
    'consume or move what is in it and delete it, so that it is declared anew; if only its type differs, the option rabbitmq.queueType can name the present one';
  await explaining(`Queue "${name}"`, remedy, () =>
    channel.assertQueue(name, { durable: true, arguments: queueArguments(kind, options, parkingQueue) }),
  );
}

async function explaining(what: string, remedy: string, declare: () => Promise<unknown>): Promise<void> {
  try {
    await declare();
  } catch (error) {
    // A limit of the virtual host is answered with the same code, and passes when somebody raises it.
    if (!isInequivalent(error) || wantsSingleActiveConsumer(error)) throw error;
    throw new InvalidSetupError([
      `${what} exists with other properties (${serverText(error)}). To mend it: ${remedy}.`,
    ]);
  }
}

async function lookFor(what: string, commands: readonly string[], look: () => Promise<unknown>): Promise<void> {
  try {
    await look();
  } catch (error) {
    if (replyCode(error) !== NOT_FOUND) throw error;
    throw new InvalidSetupError([
      `${what} does not exist, and rabbitmq.topology is 'verify'. Somebody who may configure declares it: ${commands.join('; ')}.`,
    ]);
  }
}

async function exists(channel: Channel, queue: string): Promise<boolean> {
  try {
    await channel.checkQueue(queue);
    return true;
  } catch (error) {
    if (replyCode(error) === NOT_FOUND) return false;
    throw error;
  }
}

/** Whether the queue exists with a single active consumer, which its operator may have wanted: declared so, it may be the right one. */
export function wantsSingleActiveConsumer(error: unknown): boolean {
  return /inequivalent arg 'x-single-active-consumer'.*current is the value 'true'/.test(serverText(error));
}

function isInequivalent(error: unknown): boolean {
  return replyCode(error) === PRECONDITION_FAILED && serverText(error).includes('inequivalent arg');
}

function commandsFor(
  { name, kind, parkingQueue }: DeclaredQueue,
  bindings: readonly string[],
  options: DeclarationOptions,
): string[] {
  const args = JSON.stringify(queueArguments(kind, options, parkingQueue));
  return [
    `rabbitmqadmin declare queue name=${name} durable=true arguments='${args}'`,
    ...bindings.map(
      (key) => `rabbitmqadmin declare binding source=${options.exchange} destination=${name} routing_key=${key}`,
    ),
  ];
}
