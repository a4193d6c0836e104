import { Injectable, Module, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { metrics, trace } from '@opentelemetry/api';
import { TRANSPORT, type Transport } from '../broker/transport';
import { Stores } from '../database/stores';
import { ReliableMqHooks } from '../operate/reliable-mq-hooks';
import { observeGauges } from './gauges';
import { Metrics } from './metrics';
import { Traces } from './traces';

const SCOPE = 'nestjs-reliable-mq';

/** Listens from before the first message is consumed until the last one is settled. */
@Injectable()
class OpenTelemetry implements OnModuleInit, OnApplicationShutdown {
  private ends: readonly (() => void)[] = [];

  constructor(private readonly modules: ModuleRef) {}

  onModuleInit(): void {
    // Wherever ReliableMqModule is, and whether it is global or not.
    const hooks = this.modules.get(ReliableMqHooks, { strict: false });
    const { all } = this.modules.get(Stores, { strict: false });
    const transport = this.modules.get<Transport>(TRANSPORT, { strict: false });
    const meter = metrics.getMeter(SCOPE);
    const measured = new Metrics(meter);
    const traces = new Traces(trace.getTracer(SCOPE), transport.kind);
    this.ends = [
      hooks.around(traces),
      hooks.add({
        received: (message) => traces.received(message),
        acknowledged: (message) => traces.acknowledged(message),
      }),
      hooks.around(measured.around),
      hooks.add(measured.hooks),
      observeGauges(meter, all, transport),
    ];
  }

  onApplicationShutdown(): void {
    for (const end of this.ends) end();
    this.ends = [];
  }
}

/**
 * Traces and metrics of an application's events, by the OpenTelemetry SDK that it has registered before Nest starts. Import it beside
 * `ReliableMqModule`. Without an SDK it does nothing.
 */
@Module({ providers: [OpenTelemetry] })
export class ReliableMqOpenTelemetryModule {}
