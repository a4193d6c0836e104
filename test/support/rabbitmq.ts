import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { connect } from 'amqplib';
import { isLeftover, uniqueName } from './run-id';

const LIST_WITHIN_MS = 20_000;

/** The url that the global setup left in the environment. */
export function rabbitmqUrl(): string {
  const url = process.env.TEST_RABBITMQ_URL;
  if (!url)
    throw new Error('TEST_RABBITMQ_URL is not set. Specs that need RabbitMQ are named *.int-spec.ts or *.e2e-spec.ts.');
  return url;
}

/**
 * A beginning for the names of one file's exchanges, queues and consumers. The broker is shared by all files, and a virtual
 * host for each would need rights that a found broker may not give.
 */
export function uniquePrefix(): string {
  return uniqueName();
}

/** Names that a test made; the prefix is put before those that do not begin with it. */
export interface MadeNames {
  readonly queues?: readonly string[];
  readonly exchanges?: readonly string[];
}

/**
 * Deletes queues and exchanges of one prefix. AMQP cannot list, so the names must be given; what nobody named is found and
 * deleted when the run ends, where `rabbitmqctl` can list the broker's queues. Missing ones are no error.
 */
export async function cleanQueues(prefix: string, names: MadeNames, url: string = rabbitmqUrl()): Promise<void> {
  const full = (name: string): string => (name.startsWith(prefix) ? name : `${prefix}${name}`);
  await deleteNames((names.queues ?? []).map(full), (names.exchanges ?? []).map(full), url);
}

async function deleteNames(queues: readonly string[], exchanges: readonly string[], url: string): Promise<void> {
  if (queues.length + exchanges.length === 0) return;
  const connection = await connect(url);
  try {
    const channel = await connection.createChannel();
    for (const queue of queues) await channel.deleteQueue(queue);
    for (const exchange of exchanges) await channel.deleteExchange(exchange);
  } finally {
    await connection.close();
  }
}

/** Deletes what files of this run left, and what killed runs on this host left, if the broker's queues can be listed here. */
export async function deleteLeftoverQueues(url: string): Promise<void> {
  const [queues, exchanges] = await Promise.all([list('list_queues'), list('list_exchanges')]);
  await deleteNames(queues.filter(isLeftover), exchanges.filter(isLeftover), url);
}

async function list(command: 'list_queues' | 'list_exchanges'): Promise<string[]> {
  try {
    const { stdout } = await promisify(execFile)('rabbitmqctl', ['--quiet', command, '--no-table-headers', 'name'], {
      timeout: LIST_WITHIN_MS,
    });
    return stdout.split('\n').map((line) => line.trim());
  } catch {
    return []; // no rabbitmqctl here, or the broker is another one: its owner cleans up after the prefix
  }
}
