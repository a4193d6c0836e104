import { Injectable } from '@nestjs/common';
import { ReliableEventHandler } from 'nestjs-reliable-mq';
import type { Stage, WorkOutcome } from '../work';
import { type Place, startApp } from './app';
import { countedStatements } from './count-statements';
import { liveMemoryMb } from './live-memory';
import { OrderPlaced } from './order-placed';

export interface IdleConfig extends Place {
  readonly seconds: number;
}

@Injectable()
class Stock {
  @ReliableEventHandler(OrderPlaced)
  deduct(): Promise<void> {
    return Promise.resolve();
  }
}

/** Reading memory twenty times a second would be most of what such a process does. */
const RSS_EVERY_MS = 5_000;

/** A service that records and handles, and has nothing to do. */
export default async function work(config: IdleConfig, stage: Stage): Promise<WorkOutcome> {
  const app = await startApp({ ...config, poolSize: 20, providers: [Stock] });
  // What belongs to the start is over.
  await pause(5_000);
  const before = countedStatements();
  stage.begin(RSS_EVERY_MS);
  await pause(config.seconds * 1_000);
  stage.end();
  const queries = countedStatements() - before;
  const figures = { liveMemoryMb: liveMemoryMb() };
  await app.close();
  return { count: queries, figures };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
