import { channelsSuite } from './transport-rabbitmq/channels.suite';
import { lostConnectionsSuite } from './transport-rabbitmq/lost-connections.suite';
import { PrivateBroker } from './transport-rabbitmq/private-broker';
import { refusalsSuite } from './transport-rabbitmq/refusals.suite';
import { rightsAndLimitsSuite } from './transport-rabbitmq/rights-and-limits.suite';
import { unusableBrokersSuite } from './transport-rabbitmq/unusable-brokers.suite';

jest.setTimeout(120_000);

// One broker for all of them: it takes as long to start as some of them take.
describe('RabbitMqTransport', () => {
  let started: PrivateBroker;
  const broker = (): PrivateBroker => started;

  beforeAll(async () => {
    started = await PrivateBroker.start();
  }, 120_000);
  afterEach(() => broker().afterEachTest());
  afterAll(() => broker().dispose(), 60_000);

  describe('on a broker with limits and rights', () => rightsAndLimitsSuite(broker));
  describe('when the broker refuses one message of many', () => refusalsSuite(broker));
  describe('when things break:', () => {
    channelsSuite(broker);
    lostConnectionsSuite(broker);
    unusableBrokersSuite(broker);
  });
});
