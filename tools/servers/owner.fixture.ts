// Run by owner-death.int-spec.ts: starts a server, says what belongs to it, and ends in the way it is told, or is killed.
import { dirname } from 'node:path';
import { startPostgres } from './postgres';
import { startRabbitmq } from './rabbitmq';
import { childrenOf } from './process-table';

async function main(): Promise<void> {
  const [, , server, end] = process.argv;
  if (server === 'postgres') {
    const { pid = 0, dataDir } = await startPostgres();
    process.stdout.write(`${JSON.stringify({ pids: [pid, ...childrenOf(pid)], folder: dirname(dataDir) })}\n`);
  } else {
    const { pid = 0 } = await startRabbitmq();
    process.stdout.write(`${JSON.stringify({ pids: childrenOf(process.pid).concat(pid), folder: '' })}\n`);
  }
  if (end === 'throw') {
    setImmediate(() => {
      throw new Error('uncaught');
    });
  }
  if (end === 'stay') setInterval(() => undefined, 60_000);
  // 'return': nothing more to do. A server must not keep its owner alive.
}

void main();
