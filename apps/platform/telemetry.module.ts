import { randomUUID } from 'node:crypto';
import { type DynamicModule, Module, type OnApplicationShutdown } from '@nestjs/common';
import { context, metrics, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { ReliableMqOpenTelemetryModule } from 'nestjs-reliable-mq/opentelemetry';

const EXPORT_EVERY_MS = 10_000;

/** The OpenTelemetry SDK of a service, and what the library tells it. */
@Module({})
export class TelemetryModule implements OnApplicationShutdown {
  private static sdk: { shutdown(): Promise<void> } | undefined;

  /** Registers the SDK, which must be there before Nest starts. The exporters find their addresses in the environment. */
  static with(serviceName: string): DynamicModule {
    TelemetryModule.sdk ??= registerSdk(serviceName);
    return { module: TelemetryModule, imports: [ReliableMqOpenTelemetryModule] };
  }

  /** What is not exported yet still is. */
  async onApplicationShutdown(): Promise<void> {
    await TelemetryModule.sdk?.shutdown();
  }
}

function registerSdk(serviceName: string): { shutdown(): Promise<void> } {
  const resource = resourceFromAttributes({ 'service.name': serviceName, 'service.instance.id': randomUUID() });
  const tracers = new BasicTracerProvider({
    resource,
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
  });
  const reader = new PeriodicExportingMetricReader({
    exporter: new OTLPMetricExporter(),
    exportIntervalMillis: EXPORT_EVERY_MS,
    exportTimeoutMillis: EXPORT_EVERY_MS,
  });
  const meters = new MeterProvider({ resource, readers: [reader] });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(
    new CompositePropagator({ propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()] }),
  );
  trace.setGlobalTracerProvider(tracers);
  metrics.setGlobalMeterProvider(meters);
  return {
    shutdown: async () => {
      await Promise.allSettled([tracers.shutdown(), meters.shutdown()]);
    },
  };
}
