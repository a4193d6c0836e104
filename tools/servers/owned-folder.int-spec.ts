import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { FOLDER_VARIABLE, removeStaleFolders } from './owned-folder';
import { identityOf, isAlive, untilGone } from './process-table';

describe('removeStaleFolders', () => {
  const parent = mkdtempSync(join(tmpdir(), 'stale-folders-'));
  afterAll(() => rmSync(parent, { recursive: true, force: true }));

  function folder(name: string, owner: string, cleanup = ''): string {
    const path = join(parent, `nestjs-reliable-mq-${name}`);
    mkdirSync(path);
    writeFileSync(join(path, 'owner'), owner);
    writeFileSync(join(path, 'cleanup'), cleanup);
    return path;
  }

  const deadPid = (): number => spawnSync('true').pid;

  it('removes what a dead owner left, and keeps what others own', () => {
    const dead = folder('dead', `${hostname()} ${deadPid()}@1\n`);
    const alive = folder('alive', `${hostname()} ${identityOf(process.pid)}\n`);
    const elsewhere = folder('elsewhere', `another-host ${deadPid()}@1\n`);
    const reused = folder('reused', `${hostname()} ${process.pid}@1\n`);
    expect(removeStaleFolders(parent).sort()).toEqual(['nestjs-reliable-mq-dead', 'nestjs-reliable-mq-reused']);
    expect([dead, reused, alive, elsewhere].map((path) => existsSync(path))).toEqual([false, false, true, true]);
  });

  it('ends a process of that folder, and no other that was given its number', async () => {
    const path = join(parent, 'nestjs-reliable-mq-processes');
    const start = (env: NodeJS.ProcessEnv): number => {
      const child = spawn('sleep', ['60'], { env: { ...process.env, ...env }, stdio: 'ignore' });
      child.unref();
      return child.pid as number;
    };
    const [ours, stranger] = [start({ [FOLDER_VARIABLE]: path }), start({})];
    try {
      folder('processes', `${hostname()} ${deadPid()}@1\n`, `KILL ${ours}\nKILL ${stranger}\n`);
      expect(removeStaleFolders(parent)).toContain('nestjs-reliable-mq-processes');
      await untilGone([ours]);
      expect(isAlive(stranger)).toBe(true);
    } finally {
      process.kill(stranger, 'SIGKILL');
      await untilGone([stranger]);
    }
  });
});
