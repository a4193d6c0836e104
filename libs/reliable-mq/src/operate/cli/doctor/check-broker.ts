import { inspectBroker, inspectManagedQueue, type ManagedQueue } from '../../../broker/rabbitmq/inspect';
import type { QueueState } from '../../../broker/transport';
import { consumerQueue, parkingQueue, receiptQueue } from '../../../event/queue-names';
import { describeError } from '../../../log/describe-error';
import { maskUri } from '../../../log/mask-uri';
import type { OpenTables } from '../command';
import { count } from '../format';
import type { Finding, Verdict } from './finding';

/** Events that say where this service's events go. */
const LATEST = 200;
const DEEP = 10_000;
/** What takes messages away from a queue, or refuses new ones. */
const BOUNDS = ['message-ttl', 'expires', 'max-length', 'max-length-bytes', 'delivery-limit', 'max-age'];

type Role = 'events' | 'receipts' | 'parking';

export interface BrokerFindings {
  readonly version?: string | undefined;
  readonly findings: readonly Finding[];
}

/** @param uri undefined: nobody has said where it is. @param management the URL of its management API */
export async function checkBroker(
  tables: OpenTables,
  uri: string | undefined,
  management: string | undefined,
): Promise<BrokerFindings> {
  if (uri === undefined)
    return { findings: [finding('not-checked', 'the broker: set AMQP_URL, or give --broker URL')] };
  const queues = await queuesOf(tables);
  try {
    const { version, queues: states } = await inspectBroker(uri, [...queues.keys()]);
    const findings = [finding('ok', `RabbitMQ ${version} answers at ${maskUri(uri)}`)];
    if (queues.size === 0)
      findings.push(finding('not-checked', 'queues: outbox and inbox know no event and no consumer yet'));
    for (const [queue, role] of queues) {
      const state = states.get(queue);
      findings.push(...judgeState(queue, role, state));
      if (management !== undefined && state !== undefined && state !== 'no-queue')
        findings.push(...(await judgeManaged(management, uri, queue, role)));
    }
    if (management === undefined)
      findings.push(
        finding('not-checked', 'types and policies of queues: give --management http://user:password@host:15672'),
      );
    return { version, findings };
  } catch (error) {
    const reason = maskUri(describeError(error));
    return {
      findings: [
        finding(
          'change',
          `the broker cannot be asked at ${maskUri(uri)}: ${reason}. Events wait in the outbox meanwhile.`,
        ),
      ],
    };
  }
}

/** The queues that these tables know of: where the latest events go, what is handled here, and where receipts come. */
async function queuesOf({ database, operations }: OpenTables): Promise<ReadonlyMap<string, Role>> {
  const queues = new Map<string, Role>();
  const producer = await database.ownerOf('outbox');
  const events = await operations.list({ limit: LATEST });
  if (producer !== undefined && events.length > 0) queues.set(receiptQueue(producer), 'receipts');
  for (const { type, consumers } of events)
    for (const each of consumers) queues.set(consumerQueue(each, type), 'events');
  for (const { consumer, type } of await operations.inboxKinds()) {
    queues.set(consumerQueue(consumer, type), 'events');
    queues.set(parkingQueue(consumer), 'parking');
  }
  return queues;
}

function judgeState(queue: string, role: Role, state: QueueState): readonly Finding[] {
  if (state === undefined)
    return [finding('not-checked', `queue ${queue}: the broker does not say, or may not be asked by this user`)];
  if (state === 'no-queue') {
    const text =
      role === 'events'
        ? `Queue ${queue} does not exist: its consumer has never been started here, or it was deleted. Start the consumer, which declares it.`
        : `Queue ${queue} does not exist. Start the service, which declares it.`;
    return [finding('change', text)];
  }
  const { messages, consumers } = state;
  if (role === 'parking')
    return messages === 0
      ? []
      : [finding('look', `${queue} holds ${count(messages, 'message')}: \`list --inbox --status rejected\` says why`)];
  const depth = `${count(messages, 'message')} wait, ${count(consumers, 'consumer')}`;
  if (consumers === 0)
    return [
      finding(
        'change',
        `Nobody consumes queue ${queue} (${depth}). Start its service, or look why it takes no messages.`,
      ),
    ];
  return [
    finding(
      messages > DEEP ? 'look' : 'ok',
      `queue ${queue}: ${depth}${messages > DEEP ? '. Its consumer is behind: add instances' : ''}`,
    ),
  ];
}

async function judgeManaged(management: string, uri: string, queue: string, role: Role): Promise<readonly Finding[]> {
  let managed: ManagedQueue;
  try {
    managed = await inspectManagedQueue(management, uri, queue);
  } catch (error) {
    return [finding('not-checked', `type and policies of ${queue}: ${maskUri(describeError(error))}`)];
  }
  const { type, policy, effective_policy_definition: defined = {}, arguments: args } = managed;
  const findings: Finding[] = [];
  if (type !== 'quorum')
    findings.push(
      finding(
        'look',
        `queue ${queue} is a ${type} queue: what is in it is away, or lost, with its node. rabbitmq.queueType: 'quorum' makes new ones so.`,
      ),
    );
  if (role === 'events' && args['x-dead-letter-routing-key'] === undefined)
    findings.push(
      finding('look', `queue ${queue} was declared by somebody else: it dead-letters nowhere that is known here`),
    );
  const bounds = Object.keys(defined).filter((name) => BOUNDS.includes(name));
  if (role !== 'receipts' && bounds.length > 0)
    findings.push(
      finding(
        'change',
        `Policy ${policy ?? '(of an operator)'} bounds queue ${queue} by ${bounds.join(', ')}: it takes messages away, or refuses them. Let it not match this queue.`,
      ),
    );
  return findings.length > 0 ? findings : [finding('ok', `queue ${queue} is a quorum queue that no policy bounds`)];
}

function finding(verdict: Verdict, text: string): Finding {
  return { area: 'broker', verdict, text };
}
