import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { treeCpuMs } from './processor-time';

const onLinux = process.platform === 'linux' ? it : it.skip;

describe('processor time', () => {
  onLinux(
    'counts what a child has used, while it lives and after it has ended',
    async () => {
      const busy = `const end = process.cpuUsage().user + 100_000; while (process.cpuUsage().user < end); process.send('done')`;
      const before = treeCpuMs(process.pid) ?? NaN;
      const child = spawn(process.execPath, ['-e', `${busy}; process.stdin.resume()`], {
        stdio: ['pipe', 'inherit', 'inherit', 'ipc'],
      });
      await once(child, 'message');
      expect((treeCpuMs(process.pid) ?? NaN) - before).toBeGreaterThanOrEqual(90);
      child.stdin?.end();
      child.disconnect();
      await once(child, 'exit');
      expect((treeCpuMs(process.pid) ?? NaN) - before).toBeGreaterThanOrEqual(90);
    },
    60_000,
  );

  it('is unknown of a process that does not run', () => {
    expect(treeCpuMs(undefined)).toBeUndefined();
    expect(treeCpuMs(2 ** 22 + 1)).toBeUndefined();
  });
});
