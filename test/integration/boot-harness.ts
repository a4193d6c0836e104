import type { Provider } from '@nestjs/common';
import { IsString } from 'class-validator';
import { ReliableEvent } from 'nestjs-reliable-mq';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { TestApp, type TestAppOptions } from '../support/test-app';

@ReliableEvent({ type: 'thing.done' })
export class ThingDone {
  @IsString() text!: string;
}

@ReliableEvent({ type: 'thing.done' })
export class ThingDoneTwin {
  @IsString() text!: string;
}

@ReliableEvent({ type: 'thing.done', version: 2 })
export class ThingDoneToo {
  @IsString() text!: string;
}

@ReliableEvent({ type: 'wrong type', version: 0, consumers: ['a', 'a'] })
export class WrongEvent {}

@ReliableEvent({ type: 'misspelt.thing', consumer: 'audit', confrim: false, consumers: 'audit' } as never)
export class MisspeltThing {}

@ReliableEvent({ type: 'slow.thing', giveUp: { maxAttempts: 1000 } })
export class SlowThing {}

export class NoEvent {
  text!: string;
}

/** What an application says that does not start. */
export type StartFailure = Error & { readonly problems?: readonly string[] };

/** Applications that are started for what becomes of it. Call it inside a `describe`. */
export function useStarts(): {
  start(options: TestAppOptions): Promise<TestApp>;
  failureOf(
    providers: readonly Provider[],
    reliableMq?: TestAppOptions['reliableMq'],
    more?: TestAppOptions,
  ): Promise<StartFailure>;
} {
  let database: TestDatabase;
  beforeAll(async () => (database = await createTestDatabase()));
  afterAll(() => database.drop());

  const start = (options: TestAppOptions): Promise<TestApp> => TestApp.start({ database, ...options });
  return {
    start,
    failureOf: async (providers, reliableMq, more) => {
      const started = await start({ providers, reliableMq, ...more }).catch((error: unknown) => error as StartFailure);
      if (!(started instanceof TestApp)) return started;
      await started.close();
      throw new Error('it started');
    },
  };
}
