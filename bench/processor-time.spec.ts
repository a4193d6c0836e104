import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { treeCpuMs } from './processor-time';

/** Elsewhere there is no /proc to read. */
const isTold = process.platform === 'linux';

describe('processor time', () => {
  it('counts what a child has used, while it lives and after it has ended, where the system tells', async () => {
    const busy = `const end = process.cpuUsage().user + 100_000; while (process.cpuUsage().user < end); process.send('done')`;
    const before = treeCpuMs(process.pid) ?? 0;
    const expectUsed = (): void => {
      const used = treeCpuMs(process.pid);
      if (isTold) expect((used ?? NaN) - before).toBeGreaterThanOrEqual(90);
      else expect(used).toBeUndefined();
    };
    const child = spawn(process.execPath, ['-e', `${busy}; process.stdin.resume()`], {
      stdio: ['pipe', 'inherit', 'inherit', 'ipc'],
    });
    await once(child, 'message');
    expectUsed();
    child.stdin?.end();
    child.disconnect();
    await once(child, 'exit');
    expectUsed();
  }, 60_000);

  it('is unknown of a process that does not run', () => {
    expect(treeCpuMs(undefined)).toBeUndefined();
    expect(treeCpuMs(2 ** 22 + 1)).toBeUndefined();
  });
});
