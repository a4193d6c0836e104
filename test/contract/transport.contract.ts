import { TransportBench, type TransportHarness } from './transport-bench';
import { describeConsuming } from './transport-consuming.contract';
import { describeOutages } from './transport-outages.contract';
import { describePublishing } from './transport-publishing.contract';
import { describeTopology } from './transport-topology.contract';

/** What every transport promises; see the comments of the seam (transport.ts). */
export function describeTransport(implementation: string, createHarness: () => Promise<TransportHarness>): void {
  describe(`${implementation} transport`, () => {
    const bench = new TransportBench();

    beforeAll(() => bench.open(createHarness), 120_000);
    afterEach(() => bench.closeTransports());
    afterAll(() => bench.harness.dispose(), 60_000);

    describePublishing(bench);
    describeConsuming(bench);
    describeTopology(bench);
    describeOutages(bench);
  });
}
