import { DockerRabbitmqNode, dockerAnswers } from './docker-rabbitmq-node';
import { startErlangNetwork, type ErlangNetwork } from './erlang-network';
import { installPackage, mayInstall } from './install-package';
import { NativeRabbitmqNode } from './native-rabbitmq-node';
import type { RabbitmqNode } from './rabbitmq-node';
import { locateRabbitmq, type RabbitmqScripts } from './rabbitmq-scripts';

export { findRabbitmq } from './find-rabbitmq';
export { RabbitmqNode, type QueueInfo } from './rabbitmq-node';

export interface RabbitmqOptions {
  /** Enabled from the first start, e.g. `rabbitmq_management`. They cost a second. @default [] */
  readonly plugins?: readonly string[];
  /** Lines of rabbitmq.conf, by key. Not for Docker. @default {} */
  readonly config?: Readonly<Record<string, string>>;
}

export interface RabbitmqCluster {
  /** All joined; a quorum queue declared through any of them has a replica on each. */
  readonly nodes: readonly RabbitmqNode[];
  dispose(): Promise<void>;
}

/** An image whose RabbitMQ is run in Docker, whatever is installed. */
const IMAGE_VARIABLE = 'TEST_RABBITMQ_IMAGE';

const HOW_TO_INSTALL =
  'Install it (Debian, Ubuntu: sudo apt-get install rabbitmq-server; macOS: brew install rabbitmq; Fedora: sudo dnf install rabbitmq-server), ' +
  'start Docker, or set AMQP_URL to a broker that runs, e.g. AMQP_URL=amqp://guest:guest@127.0.0.1:5672.';

/**
 * Starts a RabbitMQ of one's own: from TEST_RABBITMQ_IMAGE where that is set, from installed scripts, else in Docker, else after `apt-get install` where that is allowed.
 *
 * @throws Error that says how to get one
 */
export async function startRabbitmq(options: RabbitmqOptions = {}): Promise<RabbitmqNode> {
  const image = process.env[IMAGE_VARIABLE];
  const scripts = image === undefined ? locateRabbitmq() : undefined;
  if (image !== undefined || (!scripts && dockerAnswers())) {
    const container = new DockerRabbitmqNode(options.plugins ?? [], image);
    await startOrDispose(container);
    return container;
  }
  const network = await startErlangNetwork(scripts ?? (await install()));
  const node = nativeNode('rabbit', network, options, () => network.dispose());
  await startOrDispose(node);
  return node;
}

/**
 * Starts several nodes that form a cluster, on this machine. Not with Docker.
 *
 * @param size an odd number, so that a majority exists: three survive the loss of one
 */
export async function startRabbitmqCluster(size: number, options: RabbitmqOptions = {}): Promise<RabbitmqCluster> {
  if (process.env[IMAGE_VARIABLE] !== undefined)
    throw new Error(`${IMAGE_VARIABLE} is set, and several nodes do not run in Docker.`);
  const network = await startErlangNetwork(locateRabbitmq() ?? (await install()));
  const nodes: RabbitmqNode[] = [];
  const dispose = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.dispose()));
    await network.dispose();
  };
  try {
    const first = nativeNode('rabbit1', network, options);
    nodes.push(first);
    await first.start();
    // A new node looks for the oldest among those that it is told of, and joins it while it boots.
    for (let number = 2; number <= size; number += 1) {
      nodes.push(
        nativeNode(`rabbit${number}`, network, {
          ...options,
          config: { ...options.config, ...discovery(first.nodeName, `rabbit${number}@127.0.0.1`) },
        }),
      );
    }
    await Promise.all(nodes.slice(1).map((node) => node.start()));
    await assertJoined(first, size);
    return { nodes, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

function nativeNode(
  name: string,
  network: ErlangNetwork,
  options: RabbitmqOptions,
  afterDispose?: () => Promise<void>,
): NativeRabbitmqNode {
  return new NativeRabbitmqNode({
    name,
    network,
    plugins: options.plugins ?? [],
    config: options.config ?? {},
    ...(afterDispose && { afterDispose }),
  });
}

function discovery(...names: string[]): Record<string, string> {
  return Object.fromEntries([
    ['cluster_formation.peer_discovery_backend', 'classic_config'],
    ...names.map((name, index) => [`cluster_formation.classic_config.nodes.${index + 1}`, name]),
  ]) as Record<string, string>;
}

async function assertJoined(node: RabbitmqNode, size: number): Promise<void> {
  const status = JSON.parse(await node.ctl('--quiet', 'cluster_status', '--formatter', 'json')) as {
    running_nodes: string[];
  };
  if (status.running_nodes.length !== size) {
    throw new Error(
      `Only ${status.running_nodes.join(', ')} of ${size} nodes joined. The end of the first one's log:\n${node.log().slice(-3_000)}`,
    );
  }
}

async function startOrDispose(node: RabbitmqNode): Promise<void> {
  try {
    await node.start();
  } catch (error) {
    await node.dispose();
    throw error;
  }
}

async function install(): Promise<RabbitmqScripts> {
  if (!mayInstall())
    throw new Error(
      `There is no RabbitMQ: none answers, and neither rabbitmq-server nor Docker is here. ${HOW_TO_INSTALL}`,
    );
  await installPackage('rabbitmq-server');
  const scripts = locateRabbitmq();
  if (!scripts)
    throw new Error(
      `apt-get installed rabbitmq-server, but its scripts are not where they are expected. ${HOW_TO_INSTALL}`,
    );
  return scripts;
}
