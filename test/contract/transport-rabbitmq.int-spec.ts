import { rabbitmqUrl } from '../support/rabbitmq';
import { RabbitMqHarness } from './transport-rabbitmq-harness';
import { describeTransport } from './transport.contract';

describeTransport('RabbitMQ', () => RabbitMqHarness.open(rabbitmqUrl()));
