import { ChildProcess } from 'node:child_process';
import { Server, Socket } from 'node:net';

/** How many resources of a kind are open. */
export type Resources = ReadonlyMap<string, number>;

/** Kinds of `process.getActiveResourcesInfo()` that a spec can leave behind. Jest's own worker channel is another kind. */
const WATCHED: Readonly<Record<string, string>> = {
  TCPSocketWrap: 'TCP socket',
  TCPServerWrap: 'TCP server',
  ProcessWrap: 'child process',
};

/** What keeps the process alive now; timers are watched by themselves. */
export function openResources(): Resources {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) {
    if (kind in WATCHED) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return counts;
}

/** What is open now beyond what was open before, in words. */
export function describeLeaks(before: Resources): string[] {
  const leaks: string[] = [];
  for (const [kind, count] of openResources()) {
    const more = count - (before.get(kind) ?? 0);
    if (more > 0) leaks.push(`${more} ${WATCHED[kind]}${more > 1 ? 's' : ''}${detailsOf(kind)}`);
  }
  return leaks;
}

function detailsOf(kind: string): string {
  const details = activeHandles()
    .map((handle) => {
      // One whose other side is gone has no remote port any more, one of the worker's own channel no local port either.
      if (kind === 'TCPSocketWrap' && handle instanceof Socket && (handle.remotePort ?? handle.localPort) !== undefined)
        return `port ${handle.localPort ?? 'unknown'} to port ${handle.remotePort ?? 'unknown'}, ${handle.readyState}`;
      if (kind === 'TCPServerWrap' && handle instanceof Server) return `on ${JSON.stringify(handle.address())}`;
      if (kind === 'ProcessWrap' && handle instanceof ChildProcess) return `${handle.spawnfile} ${handle.pid ?? ''}`;
      return undefined;
    })
    .filter((detail) => detail !== undefined);
  return details.length > 0 ? ` (${details.join(', ')})` : '';
}

/** Undocumented, but the only way to say which ones: the message is poorer without it, the check is the same. */
function activeHandles(): readonly unknown[] {
  const { _getActiveHandles: list } = process as NodeJS.Process & { _getActiveHandles?: () => unknown[] };
  return list?.call(process) ?? [];
}
