import { context, metrics, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core';
import { type DataPoint, MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-base';
import { eventually } from './eventually';

/** Collects when it is asked to. */
class AskedReader extends MetricReader {
  protected override onForceFlush(): Promise<void> {
    return Promise.resolve();
  }

  protected override onShutdown(): Promise<void> {
    return Promise.resolve();
  }
}

/** An application's OpenTelemetry SDK, registered as its start file does, with everything in memory. */
export class Telemetry {
  private readonly spans = new InMemorySpanExporter();
  private readonly reader = new AskedReader();
  private readonly meters = new MeterProvider({ readers: [this.reader] });
  private readonly tracers: BasicTracerProvider;

  /** @param exporter in the place of the one in memory */
  constructor(exporter?: SpanExporter) {
    this.tracers = new BasicTracerProvider({
      spanProcessors: [new SimpleSpanProcessor(exporter ?? this.spans)],
    });
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    propagation.setGlobalPropagator(
      new CompositePropagator({ propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()] }),
    );
    trace.setGlobalTracerProvider(this.tracers);
    metrics.setGlobalMeterProvider(this.meters);
  }

  finished(name: string): ReadableSpan[] {
    return this.spans.getFinishedSpans().filter((span) => span.name === name);
  }

  /** All of a name, as soon as there are so many. */
  async ended(name: string, count = 1): Promise<ReadableSpan[]> {
    return eventually(() => {
      const found = this.finished(name);
      expect(found).toHaveLength(count);
      return Promise.resolve(found);
    });
  }

  /** Every value by the metric's name. */
  async measured(): Promise<ReadonlyMap<string, readonly DataPoint<unknown>[]>> {
    const { resourceMetrics, errors } = await this.reader.collect();
    expect(errors).toEqual([]);
    const all = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
    return new Map(all.map(({ descriptor, dataPoints }) => [descriptor.name, dataPoints]));
  }

  forget(): void {
    this.spans.reset();
  }

  async shutdown(): Promise<void> {
    await Promise.all([this.tracers.shutdown(), this.meters.shutdown()]);
    trace.disable();
    metrics.disable();
    propagation.disable();
    context.disable();
  }
}
