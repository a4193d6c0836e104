import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { eventually } from '../support/eventually';
import { TwoServices } from './two-services';

interface Span {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
}

interface TraceExport {
  readonly resourceSpans: readonly { readonly scopeSpans: readonly { readonly spans: readonly Span[] }[] }[];
}

interface MetricsExport {
  readonly resourceMetrics: readonly {
    readonly scopeMetrics: readonly { readonly metrics: readonly { readonly name: string }[] }[];
  }[];
}

/** What stands in for a collector: it takes OTLP as JSON. */
class Collector {
  readonly spans: Span[] = [];
  readonly metrics = new Set<string>();
  private readonly server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      this.take(request.url ?? '', JSON.parse(Buffer.concat(chunks).toString()));
      response.setHeader('content-type', 'application/json').end('{}');
    });
  });

  /** @returns its address */
  async start(): Promise<string> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, 'close');
  }

  named(name: string): Span | undefined {
    return this.spans.find((span) => span.name === name);
  }

  private take(path: string, body: unknown): void {
    if (path === '/v1/traces') {
      for (const { scopeSpans } of (body as TraceExport).resourceSpans)
        this.spans.push(...scopeSpans.flatMap(({ spans }) => spans));
    } else {
      for (const { scopeMetrics } of (body as MetricsExport).resourceMetrics)
        for (const { metrics } of scopeMetrics) for (const { name } of metrics) this.metrics.add(name);
    }
  }
}

describe('the services, told where their traces and metrics go', () => {
  const collector = new Collector();
  let services: TwoServices;

  beforeAll(async () => {
    const endpoint = await collector.start();
    services = await TwoServices.prepare();
    await Promise.all(
      (['order', 'inventory'] as const).map((service) =>
        services.start(service, undefined, { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }),
      ),
    );
  });
  afterAll(async () => {
    await services.dispose();
    await collector.stop();
  });

  it('export an order as traces that lead to each other, and what they count', async () => {
    await services.stock('mug', 5);
    await services.decided(await services.place('mug', 2));
    await eventually(
      () => {
        for (const type of ['order.created', 'inventory.deducted']) {
          const sent = collector.named(`send ${type}`);
          expect(sent).toBeDefined();
          expect(collector.named(`process ${type}`)?.links).toMatchObject([
            { traceId: sent?.traceId, spanId: sent?.spanId },
          ]);
        }
        // What a handler records is part of its trace.
        expect(collector.named('send inventory.deducted')?.traceId).toBe(
          collector.named('process order.created')?.traceId,
        );
        expect([...collector.metrics]).toEqual(
          expect.arrayContaining([
            'messaging.process.duration',
            'reliable_mq.outbox.pending',
            'reliable_mq.publish.lag',
          ]),
        );
        return Promise.resolve();
      },
      { deadlineMs: 60_000 },
    );
  });
});
