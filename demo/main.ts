import 'reflect-metadata';
import { randomBytes } from 'node:crypto';
import { ensurePage } from '../tools/console/build-page';
import { type DemoArguments, parseArguments, USAGE, UsageError } from './arguments';
import { collectEvidence, judge, type Verdict } from './audit';
import { type DemoBroker, deleteAbandoned, provideBroker } from './broker';
import { CleanUp } from './clean-up';
import { type DemoDatabases, provideDatabases } from './database';
import { Narrator } from './narrator';
import { newNamespace } from './namespace';
import { makePlan } from './plan';
import { Story } from './story';
import { Timeline } from './timeline';
import { sayWhatNext, sayWhatToCall } from './what-next';

const USAGE_ERROR = 2;
const INTERRUPTED = 130;

/** What `--json` prints. */
interface Result {
  readonly orders: number;
  readonly confirmed: number;
  readonly failed: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly broker: DemoBroker['kind'];
  readonly database: DemoDatabases['kind'];
  readonly seconds: number;
}

async function main(): Promise<number> {
  let wanted: DemoArguments | undefined;
  try {
    wanted = parseArguments(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}\n\n${USAGE}`);
    return USAGE_ERROR;
  }
  if (!wanted) {
    process.stdout.write(USAGE);
    return 0;
  }

  const narrator = new Narrator(wanted.json ? process.stderr : process.stdout);
  const cleanUp = new CleanUp();
  // For good, and not once: npm passes on a Ctrl-C that the terminal has sent to this process as well.
  const interrupted = new Promise<undefined>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve(undefined));
  });
  try {
    const story = tellStory(wanted, narrator, cleanUp);
    story.catch(() => undefined); // what fails after an interruption does so because of the clean-up
    const result = await Promise.race([story, interrupted]);
    if (!result) {
      narrator.say('Interrupted, cleaning up.');
      return INTERRUPTED;
    }
    if (!wanted.keep) await cleanUp.run();
    if (wanted.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    if (wanted.keep) {
      await interrupted;
      narrator.say('Stopping both, and removing what is theirs.');
    }
    return result.lost === 0 && result.duplicated === 0 ? 0 : 1;
  } catch (error) {
    narrator.bad(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
    return 1;
  } finally {
    await cleanUp.run();
  }
}

async function tellStory(wanted: DemoArguments, narrator: Narrator, cleanUp: CleanUp): Promise<Result> {
  const namespace = newNamespace();
  const [databases, broker] = await Promise.all([
    provideDatabases(wanted.database, namespace, cleanUp),
    provideBroker(wanted.broker, namespace, cleanUp),
  ]);
  narrator.title('nestjs-reliable-mq: orders and stock in two services that must agree');
  narrator.say(`Database: ${databases.description}`);
  narrator.say(`Broker:   ${broker.description}`);
  if (broker.kind === 'rabbitmq') {
    await deleteAbandoned(broker.url, databases.abandoned);
    process.env.MQ_NAMESPACE = namespace;
    narrator.omit = `${namespace}.`;
  }
  // Loaded only now: the services' event classes read the namespace.
  const { Shop } = await import('./shop');

  const plan = makePlan(wanted.orders);
  const timeline = new Timeline(narrator);
  const { orderUrl, inventoryUrl } = databases;
  const consolePassword = wanted.keep ? randomBytes(9).toString('base64url') : undefined;
  if (consolePassword !== undefined) ensurePage();
  const shop = await Shop.open({
    orderUrl,
    inventoryUrl,
    transport: broker.options,
    hooks: (service) => timeline.hooksOf(service),
    cleanUp,
    consolePassword,
  });
  const story = new Story(plan, shop, broker, narrator, timeline);
  await story.tell();

  const verdict = judge(await collectEvidence(orderUrl, inventoryUrl, story.accepted, plan.stock));
  report(verdict, story.accepted.size, narrator);
  if (consolePassword !== undefined) {
    sayWhatToCall(narrator, shop, databases, consolePassword);
    timeline.begin();
  } else sayWhatNext(narrator);
  const { confirmed, failed, lost, duplicated } = verdict;
  const seconds = Math.round(process.uptime() * 10) / 10;
  return {
    orders: story.accepted.size,
    confirmed,
    failed,
    lost,
    duplicated,
    broker: broker.kind,
    database: databases.kind,
    seconds,
  };
}

const MAX_FINDINGS = 20;

function report(
  { confirmed, failed, lost, duplicated, balances, findings }: Verdict,
  accepted: number,
  narrator: Narrator,
): void {
  narrator.title('The audit, in both databases');
  narrator.say('Once all is quiet: initial stock = available + confirmed, for every article.');
  narrator.row('', 'initial', 'available', 'confirmed', '');
  for (const { sku, initial, available, confirmed: pieces } of balances) {
    narrator.row(sku, initial, available, pieces, initial === available + pieces ? 'agrees' : 'DIFFERS');
  }
  for (const finding of findings.slice(0, MAX_FINDINGS)) narrator.bad(finding);
  if (findings.length > MAX_FINDINGS) narrator.bad(`… and ${findings.length - MAX_FINDINGS} more`);
  const sentence = `${accepted} ${accepted === 1 ? 'order' : 'orders'} accepted: ${confirmed} confirmed, ${failed} failed, ${lost} lost, ${duplicated} duplicated.`;
  if (findings.length === 0) narrator.good(sentence);
  else narrator.bad(sentence);
}

main().then(end, (error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  end(1);
});

/** Not left to the event loop: after sockets were reset (as the broker's absence does) Node 20 may spin at its end for ever. */
function end(code: number): void {
  process.stdout.write('', () => process.exit(code));
}
