import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

interface Description {
  /** One letter: Z is a zombie. */
  readonly state: string;
  readonly parent: number;
  /** When it started, in whatever unit the system has. */
  readonly started: string;
}

/** Undefined when there is no such process. */
function describe(pid: number): Description | undefined {
  if (process.platform === 'linux') {
    try {
      // "pid (name) state parent …": the name may hold spaces and brackets, so read from its last bracket on.
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return { state: fields[0] ?? '', parent: Number(fields[1]), started: fields[19] ?? '' };
    } catch {
      return undefined;
    }
  }
  try {
    const line = execFileSync('ps', ['-o', 'stat=,ppid=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    const [state = '', parent = '0', ...started] = line.split(/\s+/);
    return { state, parent: Number(parent), started: started.join('-') };
  } catch {
    return undefined;
  }
}

/** Whether the process runs. A zombie, dead but not yet reaped by its parent, does not. */
export function isAlive(pid: number): boolean {
  const found = describe(pid);
  return found !== undefined && !found.state.startsWith('Z') && !found.state.startsWith('X');
}

/**
 * Names a process for good, unlike its pid, which is given out again: in a container even at once, the first process being 1
 * each time. Undefined when it does not run.
 */
export function identityOf(pid: number): string | undefined {
  return isAlive(pid) ? `${pid}@${describe(pid)?.started ?? ''}` : undefined;
}

/** The processes whose parent is `pid`. */
export function childrenOf(pid: number): number[] {
  return all()
    .filter(({ parent }) => parent === pid)
    .map((child) => child.pid);
}

/** The process, its children, and theirs. */
export function treeOf(pid: number): number[] {
  const table = all();
  const tree = [pid];
  // It grows while it is walked.
  for (const one of tree) tree.push(...table.filter(({ parent }) => parent === one).map((child) => child.pid));
  return tree;
}

function all(): { readonly pid: number; readonly parent: number | undefined }[] {
  if (process.platform === 'linux')
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((name) => ({ pid: Number(name), parent: describe(Number(name))?.parent }));
  return execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .map(([pid = 0, parent = 0]) => ({ pid, parent }));
}

/**
 * Whether the process belongs to the folder: its command line or its environment names it. Pids are given out again, so this
 * is asked before a process found in an old file is ended.
 */
export function mentions(pid: number, folder: string): boolean {
  try {
    if (process.platform === 'linux') {
      return ['cmdline', 'environ'].some((file) => readFileSync(`/proc/${pid}/${file}`, 'utf8').includes(folder));
    }
    return execFileSync('ps', ['-E', '-ww', '-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).includes(
      folder,
    );
  } catch {
    return false;
  }
}

/** Sends a signal; false when nothing was there to receive it. A negative pid means its whole process group. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}

/**
 * Resolves when none of the processes runs any more.
 *
 * @param deadlineMs how long to wait; afterwards an error names those that still run
 */
export async function untilGone(pids: readonly number[], deadlineMs = 10_000): Promise<void> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const left = pids.filter(isAlive);
    if (left.length === 0) return;
    if (Date.now() > end) throw new Error(`Processes ${left.join(', ')} still run after ${deadlineMs} ms.`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
