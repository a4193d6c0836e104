import { connect } from 'amqplib';
import { MemoryBroker, type ReliableMqOptions } from 'nestjs-reliable-mq';
import { findRabbitmq } from '../tools/servers/find-rabbitmq';
import { maskedUrl } from '../tools/servers/masked-url';
import { freePort } from '../tools/servers/ports';
import { startProxy } from '../tools/servers/tcp-proxy';
import type { CleanUp } from './clean-up';
import { brokerNames } from './namespace';

const DELETE_WITHIN_MS = 10_000;

/** The broker of the demo, and the switch that takes it away. */
export interface DemoBroker {
  readonly kind: 'rabbitmq' | 'memory';
  /** Its url, past the demo's proxy; empty for the in-memory one. */
  readonly url: string;
  /** For people. */
  readonly description: string;
  /** What the services need to reach it. */
  readonly options: Pick<ReliableMqOptions, 'transport'> & { readonly rabbitmq?: { readonly uri: string } };
  /** How its absence is made; undefined when it cannot be. */
  readonly absence: { readonly how: string; begin(): Promise<void>; end(): Promise<void> } | undefined;
}

export async function provideBroker(
  wanted: 'rabbitmq' | 'memory' | undefined,
  namespace: string,
  cleanUp: CleanUp,
): Promise<DemoBroker> {
  const { url, problem } = wanted === 'memory' ? { url: undefined, problem: undefined } : await find();
  if (url) return rabbitmq(url, problem, namespace, cleanUp);
  if (wanted === 'rabbitmq')
    throw new Error(problem ?? 'No RabbitMQ answers on 127.0.0.1:5672, and AMQP_URL is not set.');
  return memory(problem ?? (wanted ? undefined : 'no RabbitMQ answers on this machine, and AMQP_URL is not set'));
}

/** Deletes what killed runs have left. A broker that does not let this be done is left as it is. */
export async function deleteAbandoned(url: string, namespaces: readonly string[]): Promise<void> {
  for (const namespace of namespaces) await deleteAll(url, namespace).catch(() => undefined);
}

/** One that the environment names and that does not answer is a problem to tell, and one on this machine does as well. */
async function find(): Promise<{ url: string | undefined; problem: string | undefined }> {
  try {
    return { url: await findRabbitmq(), problem: undefined };
  } catch (error) {
    return { url: await findRabbitmq({}), problem: firstSentence(error) };
  }
}

function memory(problem: string | undefined): DemoBroker {
  const broker = new MemoryBroker();
  return {
    kind: 'memory',
    url: '',
    description: `in-memory transport, inside this process${because(problem)}`,
    options: { transport: broker },
    absence: {
      how: 'the in-memory broker goes offline',
      begin: async () => broker.goOffline(),
      end: async () => broker.goOnline(),
    },
  };
}

/** All connections go through a proxy, whose cutting is the broker's absence: the broker itself may be in use by others. */
async function rabbitmq(
  url: string,
  problem: string | undefined,
  namespace: string,
  cleanUp: CleanUp,
): Promise<DemoBroker> {
  cleanUp.add(() => deleteAll(url, namespace));
  const { protocol, hostname, port } = new URL(url);
  const description = `RabbitMQ at ${maskedUrl(url)}; queues of its own, deleted at the end${because(problem)}`;
  // The certificate of a TLS connection would not match the proxy's address.
  if (protocol !== 'amqp:')
    return { kind: 'rabbitmq', url, description, options: { rabbitmq: { uri: url } }, absence: undefined };
  // A port that the kernel gives to no outgoing connection: while the proxy is cut, it must stay free.
  const target = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 5672) };
  const proxy = await startProxy({ target, port: await freePort() });
  cleanUp.add(() => proxy.close());
  return {
    kind: 'rabbitmq',
    url,
    description,
    options: { rabbitmq: { uri: proxy.url(url) } },
    absence: {
      how: 'every connection to RabbitMQ is cut, and none can be made',
      begin: () => proxy.cut(),
      end: () => proxy.restore(),
    },
  };
}

async function deleteAll(url: string, namespace: string): Promise<void> {
  const { queues, exchange } = brokerNames(namespace);
  const connection = await connect(url, { timeout: DELETE_WITHIN_MS });
  connection.on('error', () => undefined); // the call in progress tells it
  try {
    const channel = await connection.createChannel();
    for (const queue of queues) await channel.deleteQueue(queue);
    await channel.deleteExchange(exchange);
  } finally {
    await connection.close().catch(() => undefined);
  }
}

function because(problem: string | undefined): string {
  return problem ? ` (${problem})` : '';
}

/** Without what follows for the tests: how to get a private one. */
function firstSentence(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('. ')[0] ?? message;
}
