import { createHash, randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { isAlive } from '../tools/servers/process-table';

const PREFIX = 'rmqdemo';
const HOST = createHash('sha256').update(hostname()).digest('hex').slice(0, 6);

/** A beginning for all names of this run, from which another run can tell that it has ended. */
export function newNamespace(): string {
  return `${PREFIX}_${HOST}_${process.pid}_${randomBytes(3).toString('hex')}`;
}

/** The namespaces, among these database names, of runs on this host that were killed before they could clean up. */
export function abandonedNamespaces(databases: readonly string[]): string[] {
  const found = databases
    .map((name) => /^(rmqdemo_([0-9a-f]{6})_(\d+)_[0-9a-f]{6})_/.exec(name))
    .filter((match) => match !== null && match[2] === HOST && !isAlive(Number(match[3])))
    .map((match) => match?.[1] as string);
  return [...new Set(found)];
}

export function databaseNames(namespace: string): { readonly order: string; readonly inventory: string } {
  return { order: `${namespace}_order`, inventory: `${namespace}_inventory` };
}

/** Of each service, beside those of its events; `receipts` is the one of an earlier version. */
const OWN_QUEUES = ['receipts', 'receipts.quorum', 'parked'] as const;

/** Everything that the two services declare on a broker. */
export function brokerNames(namespace: string): { readonly queues: readonly string[]; readonly exchange: string } {
  const order = `${namespace}.order`;
  const inventory = `${namespace}.inventory`;
  return {
    queues: [
      ...['inventory.deducted', 'inventory.deduction-failed', ...OWN_QUEUES].map((name) => `${order}.${name}`),
      ...['order.created', 'order.cancelled', ...OWN_QUEUES].map((name) => `${inventory}.${name}`),
    ],
    exchange: `${namespace}.reliable-mq`,
  };
}
