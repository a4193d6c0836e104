import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../../test/support/eventually';
import { startApp, type App } from '../../test/support/processes';
import { isAlive } from './process-table';

const GONE_WITHIN_MS = 10_000;

interface Owned {
  readonly pids: number[];
  readonly folder: string;
}

const SCRIPT = join(__dirname, 'owner.fixture.ts');

/** The line that the owner printed once its server was up. */
function owned(app: App): Owned {
  const line =
    app
      .log()
      .split('\n')
      .find((text) => text.startsWith('{')) ?? '{}';
  return JSON.parse(line) as Owned;
}

async function expectGone({ pids, folder }: Owned): Promise<void> {
  expect(pids.length).toBeGreaterThan(1);
  await eventually(
    () => {
      expect(pids.filter(isAlive)).toEqual([]);
      expect(folder !== '' && existsSync(folder)).toBe(false);
    },
    { deadlineMs: GONE_WITHIN_MS },
  );
}

describe('a private server whose owner ends', () => {
  it.each(['return', 'throw'])('is gone after the owner ends by itself (%s)', async (end) => {
    const app = await startApp({ script: SCRIPT, args: ['postgres', end] });
    const { code } = await app.exited;
    expect(code).toBe(end === 'throw' ? 1 : 0);
    await expectGone(owned(app));
  });

  it.each(['SIGINT', 'SIGKILL'] as const)('is gone after the owner received %s', async (name) => {
    const app = await startApp({ script: SCRIPT, args: ['postgres', 'stay'], ready: { line: /^\{/ } });
    expect(owned(app).pids.every(isAlive)).toBe(true);
    await app.kill(name);
    await expectGone(owned(app));
  });

  it('is gone with its name server, when it is RabbitMQ', async () => {
    const app = await startApp({ script: SCRIPT, args: ['rabbitmq', 'stay'], ready: { line: /^\{/ } });
    await app.kill('SIGKILL');
    await expectGone(owned(app));
  });
});
