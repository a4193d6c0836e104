import { describeEachDatabase } from '../support/each-database';
import { ConsumerField, stepsOf } from './support/consumer-process';

describeEachDatabase('a consumer that dies before its commit', (database) => {
  describe.each(['no', 'yes'] as const)('in batches: %s', (IN_BATCHES) => {
    let field: ConsumerField;

    beforeAll(async () => {
      field = await ConsumerField.on(database);
    }, 60_000);
    afterAll(() => field.close());

    it('leaves nothing behind; the broker delivers again, and the event is handled once', async () => {
      await (await field.start()).stop();
      const ids = [1, 2, 3].map((number) => field.publish(`load ${number}`));

      const dying = await field.start({ DIE_AT: 'handlerReturned', IN_BATCHES });
      await expect(dying.exited).resolves.toMatchObject({ signal: 'SIGKILL' });

      expect(stepsOf(dying).map(({ what }) => what)).toContain('handling');
      await expect(field.effects()).resolves.toEqual({});
      await expect(field.inbox()).resolves.toEqual([]);

      await field.start({ IN_BATCHES });
      for (const id of ids) {
        await field.settled(id, 'handled');
      }
      await expect(field.effects()).resolves.toEqual(Object.fromEntries(ids.map((id) => [id, 1])));
      await field.drained();
    }, 90_000);
  });
});
