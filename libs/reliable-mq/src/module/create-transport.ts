import type { ResolvedOptions } from '../options/resolved-options';
import { MemoryBroker } from '../broker/memory/memory-broker';
import { MemoryTransport } from '../broker/memory/memory-transport';
import { RabbitMqTransport } from '../broker/rabbitmq/rabbitmq-transport';
import type { Transport } from '../broker/transport';
import { createLog } from '../log/log';

/** The transport that the options ask for. */
export function createTransport({ service, transport, rabbitmq, publish }: ResolvedOptions): Transport {
  const logger = createLog();
  if (transport === 'memory') return new MemoryTransport(new MemoryBroker(), logger);
  if (transport instanceof MemoryBroker) return new MemoryTransport(transport, logger);
  return new RabbitMqTransport({ service, rabbitmq, confirmTimeoutMs: publish.confirmTimeoutMs }, logger);
}
