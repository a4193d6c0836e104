import { ConsumerField, stepsOf } from './support/consumer-process';

const NEXT = 2;

describe('an event of a version that the running release does not know', () => {
  let field: ConsumerField;

  beforeEach(async () => {
    field = await ConsumerField.create();
  }, 60_000);
  afterEach(() => field.close());

  it('waits without using attempts, says so, holds nobody up, and is handled by the next release', async () => {
    const present = await field.start();
    const early = field.publish('for the next release', NEXT);
    const neighbour = field.publish('for this one');

    await field.settled(neighbour, 'handled');
    const reason =
      'no handler for version 2 of "load.arrived"; this service handles 1; it waits for a release that does';
    const waiting = await field.settled(early, 'waiting');
    expect(waiting).toMatchObject({ attempts: 0, unfinished_starts: 0, reason, history: [] });
    await expect(field.receipt(early, 'retrying')).resolves.toMatchObject({ reason });
    expect(present.log()).toContain('An event waits for a release that handles its version');
    await field.drained();

    // A process of the present release that starts again takes no notice of it.
    await present.stop();
    const again = await field.start();
    await field.settled(field.publish('for this one, too'), 'handled');
    expect(await field.row(early)).toMatchObject({ status: 'waiting', attempts: 0 });

    // Both releases beside each other, as while one is deployed.
    const next = await field.start({ RELEASE: 'next' });
    await field.settled(early, 'handled');
    await field.receipt(early, 'handled');
    expect(await field.row(early)).toMatchObject({ attempts: 1 });
    const later = Array.from({ length: 10 }, (_, index) => field.publish(`later ${index}`, NEXT));
    for (const id of later) await field.settled(id, 'handled');

    const startedBy = (app: typeof next): readonly unknown[] =>
      stepsOf(app).flatMap(({ what, eventId }) => (what === 'handling' ? [eventId] : []));
    expect(startedBy(next)).toEqual(expect.arrayContaining([early, ...later]));
    expect([...startedBy(present), ...startedBy(again)]).not.toEqual(expect.arrayContaining([early]));
    const effects = await field.effects();
    for (const id of [early, ...later]) expect(effects[id]).toBe(1);
  }, 180_000);
});
