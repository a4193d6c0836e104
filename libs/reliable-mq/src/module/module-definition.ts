import { ConfigurableModuleBuilder } from '@nestjs/common';
import type { ReliableMqOptions } from '../options/options';

/** What shapes the module graph, and so must be known before any factory runs. */
export interface ReliableMqModuleExtras {
  /**
   * Names of the TypeORM DataSources that have an outbox and an inbox; the first is the default one of decorators.
   * @default ['default']
   */
  readonly dataSources?: readonly string[];
  /**
   * `false`: this service records nothing; EventRecorder, publisher and the producer's jobs are not registered.
   * @default true
   */
  readonly producer?: boolean;
  /**
   * `false`: this service handles nothing; no queue is consumed even if handlers exist.
   * @default true
   */
  readonly consumer?: boolean;
  /**
   * Whether the module's exports are visible in every module.
   * @default true
   */
  readonly isGlobal?: boolean;
}

/** Nest takes these keys, and no others, out of the options before they become injectable. */
export const EXTRAS_DEFAULTS: Required<ReliableMqModuleExtras> = {
  dataSources: ['default'],
  producer: true,
  consumer: true,
  isGlobal: true,
};

/**
 * Injection token of the options as the application wrote them. A test of an application's own modules replaces them:
 * `Test.createTestingModule({ imports: [AppModule] }).overrideProvider(RELIABLE_MQ_OPTIONS).useValue({ service: 'order', transport: 'memory' })`.
 */
export const RELIABLE_MQ_OPTIONS = Symbol('ReliableMq:Options');

export const { ConfigurableModuleClass, OPTIONS_TYPE, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<ReliableMqOptions>({
    moduleName: 'ReliableMq',
    optionsInjectionToken: RELIABLE_MQ_OPTIONS,
  })
    .setClassMethodName('forRoot')
    .setExtras<ReliableMqModuleExtras>(EXTRAS_DEFAULTS, (definition) => definition)
    .build();
