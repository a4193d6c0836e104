import { createHash, randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { isAlive } from '../../tools/servers/process-table';

// Databases and queues of tests are named `rmqt_<host>_<pid of the run>_<random>`: what a killed run left behind can be told
// from what belongs to a run in progress, here or on another machine that uses the same server.
const HOST = createHash('sha256').update(hostname()).digest('hex').slice(0, 6);
const RUN = 'RELIABLE_MQ_TEST_RUN';

/** Marks this process as the run that its workers' names belong to. Called once, by the global setup. */
export function beginRun(): void {
  process.env[RUN] = String(process.pid);
}

/** The beginning of every name made by the present run. */
export function runPrefix(): string {
  return `rmqt_${HOST}_${process.env[RUN] ?? process.pid}_`;
}

/** A name that nothing else has: lower case letters, digits and underscores, 30 characters or so. */
export function uniqueName(): string {
  return runPrefix() + randomBytes(5).toString('hex');
}

/** Whether a name was made by the present run, or by one on this host that no longer runs. */
export function isLeftover(name: string): boolean {
  if (name.startsWith(runPrefix())) return true;
  const match = /^rmqt_([0-9a-f]{6})_(\d+)_/.exec(name);
  return match !== null && match[1] === HOST && !isAlive(Number(match[2]));
}
