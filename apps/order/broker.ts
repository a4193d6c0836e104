import type { DynamicModule } from '@nestjs/common';
import { AmqpConnection, RabbitMQModule } from '@golevelup/nestjs-rabbitmq';
import { ReliableMqModule, type RabbitMqOptions, type ReliableMqOptions } from 'nestjs-reliable-mq';

const CONNECT_WITHIN_MS = 5_000;

/**
 * A service that uses @golevelup/nestjs-rabbitmq already hands its connection over: what it publishes itself and what is recorded go out
 * over the same one.
 */
export function reliableMqOverAmqpConnection(options: ReliableMqOptions): DynamicModule {
  const { uri, ...rabbitmq } = options.rabbitmq ?? {};
  if (uri === undefined || (options.transport ?? 'rabbitmq') !== 'rabbitmq') return ReliableMqModule.forRoot(options);
  return ReliableMqModule.forRootAsync({
    imports: [amqpConnection(uri, rabbitmq)],
    inject: [AmqpConnection],
    useFactory: (connection: AmqpConnection): ReliableMqOptions => ({
      ...options,
      rabbitmq: { ...rabbitmq, connection },
    }),
  });
}

function amqpConnection(
  uri: string | readonly string[],
  { heartbeatSeconds = 10, reconnectMs = 1_000 }: RabbitMqOptions,
): DynamicModule {
  return RabbitMQModule.forRoot({
    uri: typeof uri === 'string' ? uri : [...uri],
    // The service starts without a broker, and the library says that there is none.
    connectionInitOptions: { wait: false, skipConnectionFailedLogging: true, skipDisconnectFailedLogging: true },
    connectionManagerOptions: {
      heartbeatIntervalInSeconds: heartbeatSeconds,
      reconnectTimeInSeconds: reconnectMs / 1000,
      connectionOptions: { timeout: CONNECT_WITHIN_MS, noDelay: true },
    },
    enableDirectReplyTo: false,
  });
}
