import { eventually } from '../support/eventually';
import { Landscape } from './support/landscape';

describe('When a relay stalls for longer than its lease', () => {
  let landscape: Landscape;

  beforeEach(async () => {
    landscape = await Landscape.create();
    await landscape.declareStockQueue();
  });
  afterEach(() => landscape.dispose());

  it('another one publishes, and the late settle of the first changes nothing', async () => {
    const stalled = await landscape.shopProcess({ at: 'confirmed', signal: 'SIGSTOP' });
    await eventually(async () => expect(await landscape.messageCount(landscape.queue)).toBe(1));
    await landscape.shop();
    await eventually(async () =>
      expect(await landscape.row()).toMatchObject({ status: 'published', claim_token: null }),
    );
    const settled = await landscape.row();

    process.kill(stalled.pid, 'SIGCONT');
    await eventually(() => expect(stalled.log()).toContain(`settle lost: ${settled.id}`));
    expect(await landscape.row()).toEqual(settled);

    await landscape.stock();
    await landscape.untilConsumed(1);
  });

  it('the late settle of an event that has been consumed meanwhile changes nothing', async () => {
    const stalled = await landscape.shopProcess({ at: 'confirmed', signal: 'SIGSTOP' });
    await eventually(async () => expect(await landscape.messageCount(landscape.queue)).toBe(1));
    await landscape.shop();
    await landscape.stock();
    await landscape.untilConsumed(1);
    const ended = await landscape.row();

    process.kill(stalled.pid, 'SIGCONT');
    await eventually(() => expect(stalled.log()).toContain('settled: 0'));
    expect(await landscape.row()).toEqual(ended);
    expect(await landscape.effects()).toHaveLength(1);
  });

  it('what still waited in its memory is not published when it goes on', async () => {
    // A window of one: the other events wait in the buffer while the first is unconfirmed.
    const stalled = await landscape.shopProcess({ at: 'sent', signal: 'SIGSTOP' }, 5, { publish: { windowSize: 1 } });
    await landscape.shop();
    await eventually(async () => {
      expect((await landscape.rows()).map(({ status }) => status)).toEqual(Array(5).fill('published'));
    });
    const settled = await landscape.rows();
    process.kill(stalled.pid, 'SIGCONT');
    await eventually(() => {
      for (const { id } of settled) expect(stalled.log()).toContain(`settle lost: ${id}`);
    });
    expect(await landscape.rows()).toEqual(settled);
    // Five of the one that took over, and perhaps the one that was on its way when the process froze.
    expect(await landscape.messageCount(landscape.queue)).toBeLessThanOrEqual(6);
    await landscape.stock();
    await landscape.untilConsumed(5);
  });
});
