import { Logger } from '@nestjs/common';
import type { ResolvedOptions } from '../options/resolved-options';
import { MemoryBroker } from './memory/memory-broker';
import { MemoryTransport } from './memory/memory-transport';
import { RabbitMqTransport } from './rabbitmq/rabbitmq-transport';
import type { Transport } from './transport';

/** The transport that the options ask for. */
export function createTransport({ service, transport, rabbitmq, publish }: ResolvedOptions): Transport {
  const logger = new Logger('ReliableMq');
  if (transport === 'memory') return new MemoryTransport(new MemoryBroker(), logger);
  if (transport instanceof MemoryBroker) return new MemoryTransport(transport, logger);
  return new RabbitMqTransport({ service, rabbitmq, confirmTimeoutMs: publish.confirmTimeoutMs }, logger);
}
