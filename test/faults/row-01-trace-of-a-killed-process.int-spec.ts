import { ReliableMqOpenTelemetryModule } from 'nestjs-reliable-mq/opentelemetry';
import { describeEachDatabase } from '../support/each-database';
import { Telemetry } from '../support/telemetry';
import { Landscape } from './support/landscape';

interface SaidSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
}

describeEachDatabase(
  'When a process dies between the commit and the publishing of an event that it traced',
  (database) => {
    let telemetry: Telemetry;
    let landscape: Landscape;

    beforeAll(() => void (telemetry = new Telemetry()));
    beforeEach(async () => {
      landscape = await Landscape.on(database);
    });
    afterEach(() => landscape.dispose());
    afterAll(() => telemetry.shutdown());

    it('its handling links to where the dead process recorded it, and not to the process that published it', async () => {
      await landscape.stock({}, [ReliableMqOpenTelemetryModule]);
      const killed = await landscape.shopProcess({ at: 'committed', isTraced: true });
      expect(await killed.exited).toMatchObject({ signal: 'SIGKILL' });
      const [send] = spansOf(killed.log());
      expect(send).toMatchObject({ name: 'send order.placed' });
      expect(await landscape.row()).toMatchObject({ status: 'pending', published_at: null });

      await landscape.shop();
      await landscape.untilConsumed(1);
      const [process] = await telemetry.ended('process order.placed');
      expect(process?.links.map(({ context: { traceId, spanId } }) => ({ traceId, spanId }))).toEqual([
        { traceId: send?.traceId, spanId: send?.spanId },
      ]);
    });
  },
  'on demand',
);

function spansOf(log: string): SaidSpan[] {
  return [...log.matchAll(/^span (.*)$/gm)].map(([, json = '']) => JSON.parse(json) as SaidSpan);
}
