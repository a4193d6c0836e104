import { describeEachDatabase } from '../support/each-database';
import { eventually } from '../support/eventually';
import { ConsumerField, stepsOf } from './support/consumer-process';

describeEachDatabase('a consumer that dies after its commit and before the ack', (database) => {
  let field: ConsumerField;

  beforeAll(async () => {
    field = await ConsumerField.on(database);
  }, 60_000);
  afterAll(() => field.close());

  it('gets the event again, finds it handled, acknowledges it and reports it once more', async () => {
    await (await field.start()).stop();
    const id = field.publish('load');

    const dying = await field.start({ DIE_AT: 'handled' });
    await expect(dying.exited).resolves.toMatchObject({ signal: 'SIGKILL' });

    expect(stepsOf(dying).some(({ what }) => what === 'acknowledged')).toBe(false);
    await expect(field.effects()).resolves.toEqual({ [id]: 1 });
    await expect(field.row(id)).resolves.toMatchObject({ status: 'handled' });

    const next = await field.start();
    await field.receipt(id, 'handled');
    await eventually(() => {
      const steps = stepsOf(next).filter(({ eventId, messageId }) => eventId === id || messageId === id);
      expect(steps.map(({ what }) => what)).toEqual(['received', 'duplicate', 'acknowledged']);
    });
    await expect(field.effects()).resolves.toEqual({ [id]: 1 });
    await field.drained();
  }, 90_000);
});
