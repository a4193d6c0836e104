import { type Profiler, Session } from 'node:inspector/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Injectable } from '@nestjs/common';
import { ReliableEventHandler, TransactionalEvent } from 'nestjs-reliable-mq';
import type { Stage, WorkOutcome } from '../work';
import { type Place, startApp } from './app';
import { OrderPlaced, payload } from './order-placed';

const SOURCE = pathToFileURL(join(__dirname, '../../libs/reliable-mq/src/')).href;
const ORDER_ID = '4f1f6a3e-8a0b-4f0e-9a51-3a1d6e2f7c10';

@Injectable()
class Shop {
  @TransactionalEvent(OrderPlaced, () => payload(ORDER_ID, 1))
  place(): Promise<void> {
    return Promise.resolve();
  }

  @ReliableEventHandler(OrderPlaced)
  deduct(_event: OrderPlaced): Promise<void> {
    return Promise.resolve();
  }
}

/**
 * Which functions of the library one event runs through, from `record` to `consumed`, by V8's precise coverage, in one process that is
 * producer and consumer.
 */
export default async function work(config: Place, stage: Stage): Promise<WorkOutcome> {
  let consumed: () => void = () => undefined;
  const app = await startApp({
    ...config,
    poolSize: 20,
    providers: [Shop],
    reliableMq: { compensation: { enabled: false } },
    hooks: { consumed: () => consumed() },
  });
  const shop = app.get(Shop);
  const happyEvent = async (): Promise<void> => {
    const end = new Promise<void>((resolve) => (consumed = resolve));
    await shop.place();
    await end;
  };
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Debugger.enable');
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
  // Once for all that is done only once, such as learning about a connection.
  await happyEvent();
  await settled();
  await session.post('Profiler.takePreciseCoverage');
  stage.begin();
  await happyEvent();
  await settled();
  stage.end();
  const { result } = await session.post('Profiler.takePreciseCoverage');
  const figures = await countsOf(result, async (scriptId) => {
    const { scriptSource } = await session.post('Debugger.getScriptSource', { scriptId });
    return scriptSource;
  });
  session.disconnect();
  await app.close();
  return { count: 1, figures };
}

/** The outcome of publishing is written within this time, and nothing else is under way. */
function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 200));
}

/** What stands for an export while sources are compiled on the way: in the package an export is a property, and reading it no call. */
const EXPORT = /^get\b[^{]*\{\s*return \w+;\s*\}$/;

async function countsOf(
  coverage: readonly Profiler.ScriptCoverage[],
  sourceOf: (scriptId: string) => Promise<string>,
): Promise<Record<string, number>> {
  let files = 0;
  let functions = 0;
  let calls = 0;
  for (const script of coverage) {
    if (!isOfLibrary(script.url)) continue;
    const source = await sourceOf(script.scriptId);
    // The first function of a script is its top level, which ran when it was loaded.
    const called = script.functions.filter(
      ({ functionName, ranges: [range] }) =>
        functionName !== '' &&
        range &&
        range.count > 0 &&
        !EXPORT.test(source.slice(range.startOffset, range.endOffset)),
    );
    if (called.length === 0) continue;
    files += 1;
    functions += called.length;
    calls += called.reduce((sum, { ranges }) => sum + (ranges[0]?.count ?? 0), 0);
  }
  return { files, functions, calls };
}

function isOfLibrary(url: string): boolean {
  return (url.startsWith('file:') ? url : pathToFileURL(url).href).startsWith(SOURCE);
}
