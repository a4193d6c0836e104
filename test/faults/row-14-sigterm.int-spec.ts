import type { App } from '../support/processes';
import { eventually } from '../support/eventually';
import { ConsumerField, stepsOf } from './support/consumer-process';

describe('a consumer process that is asked to end', () => {
  let field: ConsumerField;

  beforeEach(async () => {
    field = await ConsumerField.create();
    await (await field.start()).stop();
  }, 60_000);
  afterEach(() => field.close());

  async function begun(app: App, ids: readonly string[]): Promise<void> {
    await eventually(() => {
      const steps = stepsOf(app);
      const started = steps.filter(({ what }) => what === 'handling');
      expect(started.map(({ eventId }) => eventId)).toEqual(expect.arrayContaining([...ids]));
      // It handles before it has started to its end, and before that nobody listens to signals.
      expect(steps.map(({ what }) => what)).toContain('ready');
    });
  }

  it('finishes what it has begun, takes nothing more, and ends by itself', async () => {
    const app = await field.start();
    const slow = [field.publish('sleep 1500'), field.publish('sleep 1500')];
    await begun(app, slow);
    const stopped = app.stop();
    await expect(stopped).resolves.toEqual({ code: null, signal: 'SIGTERM' });

    for (const id of slow) await expect(field.row(id)).resolves.toMatchObject({ status: 'handled', attempts: 1 });
    for (const id of slow) await field.receipt(id, 'handled');
    await field.drained();
    const later = field.publish('later');
    await eventually(async () => expect(await field.ready()).toBe(1));
    await field.start();
    await field.settled(later, 'handled');
    await expect(field.effects()).resolves.toEqual(Object.fromEntries([...slow, later].map((id) => [id, 1])));
  }, 90_000);

  it('gives back what does not end, in time, and no attempt is counted', async () => {
    const app = await field.start({ MAY_HANG: 'yes', DRAIN_MS: '300', TIMEOUT_MS: '60000' });
    const fresh = field.publish('hang');
    const waiting = Array.from({ length: 15 }, (_, index) => field.publish(`hang ${index}`));
    await begun(app, [fresh]);

    await expect(app.stop()).resolves.toEqual({ code: null, signal: 'SIGTERM' });

    await expect(field.effects()).resolves.toEqual({});
    await eventually(async () => expect(await field.ready()).toBe(16));
    await field.start();
    for (const id of [fresh, ...waiting]) {
      await expect(field.settled(id, 'handled')).resolves.toMatchObject({ attempts: 1, history: [] });
    }
    await expect(field.effects()).resolves.toEqual(Object.fromEntries([fresh, ...waiting].map((id) => [id, 1])));
  }, 90_000);

  it('gives back retries that do not end, due at once, as if they had not begun', async () => {
    const app = await field.start({ MAY_HANG: 'yes', DRAIN_MS: '300', TIMEOUT_MS: '60000' });
    const id = field.publish('fail 1');
    const row = await field.settled(id, 'handled');
    expect(row.attempts).toBe(2);
    const hanging = field.publish('hang after a failure');
    await begun(app, [hanging]);
    await app.kill();
    // It is redelivered, so the inbox owns it from then on.
    const next = await field.start({ MAY_HANG: 'yes', DRAIN_MS: '300', TIMEOUT_MS: '60000' });
    await begun(next, [hanging]);
    await expect(field.row(hanging)).resolves.toMatchObject({ status: 'failed', attempts: 1, unfinished_starts: 2 });

    await expect(next.stop()).resolves.toEqual({ code: null, signal: 'SIGTERM' });

    const released = await field.row(hanging);
    expect(released).toMatchObject({ status: 'failed', attempts: 0, unfinished_starts: 1 });
    expect(released?.due_in_ms).toBeLessThanOrEqual(0);
    await field.start();
    await expect(field.settled(hanging, 'handled')).resolves.toMatchObject({ attempts: 1, history: [] });
  }, 90_000);

  it('ends although it is asked twice', async () => {
    const app = await field.start({ MAY_HANG: 'yes', DRAIN_MS: '300', TIMEOUT_MS: '60000' });
    await begun(app, [field.publish('hang')]);
    process.kill(app.pid, 'SIGTERM');
    await expect(app.stop()).resolves.toMatchObject({ signal: 'SIGTERM' });
  }, 60_000);
});
