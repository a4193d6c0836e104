import { BrokerConnection } from './broker-connection';
import { OwnConnection } from './own-connection';
import type { ResolvedRabbitMqOptions } from './resolved-rabbitmq-options';
import { SharedConnection, sharedSocketOptions, sharedUris } from './shared-connection';
import type { Log } from '../../log/log';

/** The one that publishes: the application's, if it shares one. */
export function publishingConnection(
  service: string,
  rabbitmq: ResolvedRabbitMqOptions,
  logger: Log,
): BrokerConnection {
  const { connection } = rabbitmq;
  const source = connection ? new SharedConnection(connection) : ownConnection(service, 'publish', rabbitmq);
  return new BrokerConnection(source, 'publish', firstUri(rabbitmq), logger);
}

/**
 * The one that consumes is always this library's own, and publishes nothing: an alarm of the broker blocks a connection that
 * publishes, its acknowledgements too, and only acknowledgements end an alarm that a backlog has raised.
 */
export function consumingConnection(service: string, rabbitmq: ResolvedRabbitMqOptions, logger: Log): BrokerConnection {
  return new BrokerConnection(ownConnection(service, 'consume', rabbitmq), 'consume', firstUri(rabbitmq), logger);
}

function ownConnection(service: string, purpose: string, rabbitmq: ResolvedRabbitMqOptions): OwnConnection {
  const { connection, credentials, heartbeatSeconds, reconnectMs } = rabbitmq;
  return new OwnConnection({
    name: `${service} (${purpose})`,
    uris: urisOf(rabbitmq),
    socketOptions: connection ? sharedSocketOptions(connection) : (rabbitmq.tls ?? {}),
    heartbeatSeconds,
    reconnectMs,
    ...(credentials && { credentials }),
  });
}

function urisOf({ connection, uris }: ResolvedRabbitMqOptions): readonly string[] {
  return connection ? sharedUris(connection) : uris;
}

function firstUri(rabbitmq: ResolvedRabbitMqOptions): string {
  return urisOf(rabbitmq)[0] ?? '';
}
