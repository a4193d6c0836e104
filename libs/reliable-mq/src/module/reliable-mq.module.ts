import { Module, type DynamicModule } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { EventOperations } from '../operate/event-operations';
import { ReliableMqHealth } from '../operate/reliable-mq-health';
import {
  ASYNC_OPTIONS_TYPE,
  ConfigurableModuleClass,
  EXTRAS_DEFAULTS,
  OPTIONS_TYPE,
  type ReliableMqModuleExtras,
} from './module-definition';
import { createProviders } from './providers';
import { EventRecorder } from '../record/event-recorder';

/**
 * Import it once, in the root module, beside `TypeOrmModule.forRoot(…)`:
 * `ReliableMqModule.forRoot({ service: 'order', rabbitmq: { uri: 'amqp://…' } })`.
 */
@Module({})
export class ReliableMqModule extends ConfigurableModuleClass {
  static override forRoot(options: typeof OPTIONS_TYPE): DynamicModule {
    return complete(super.forRoot(options), options);
  }

  static override forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    return complete(super.forRootAsync(options), options);
  }
}

function complete(definition: DynamicModule, extras: ReliableMqModuleExtras): DynamicModule {
  const {
    dataSources = EXTRAS_DEFAULTS.dataSources,
    producer = EXTRAS_DEFAULTS.producer,
    consumer = EXTRAS_DEFAULTS.consumer,
    isGlobal = EXTRAS_DEFAULTS.isGlobal,
  } = extras;
  return {
    ...definition,
    global: isGlobal,
    imports: [...(definition.imports ?? []), DiscoveryModule],
    providers: [...(definition.providers ?? []), ...createProviders({ dataSources, producer, consumer })],
    exports: [...(definition.exports ?? []), EventOperations, ReliableMqHealth, ...(producer ? [EventRecorder] : [])],
  };
}
