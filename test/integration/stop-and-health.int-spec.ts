import { Injectable } from '@nestjs/common';
import { EventRecorder, ReliableEventHandler, ReliableMqHealth } from 'nestjs-reliable-mq';
import { deferred } from '../support/deferred';
import { eventually } from '../support/eventually';
import { LogLines } from '../support/log-lines';
import { QUICK, TestApp } from '../support/test-app';
import { DeclaredNote, FreeNote, note, NoteService, Producer } from './outbox-harness';

@Injectable()
class Handlers {
  running = 0;
  readonly mayEnd = deferred();

  @ReliableEventHandler(FreeNote, { prefetch: 10 })
  async handle({ text }: FreeNote): Promise<void> {
    this.running += 1;
    await (text === 'endless' ? new Promise<void>(() => undefined) : this.mayEnd.promise);
  }
}

describe('an application that stops', () => {
  it('says what it has finished and what it has given back, in one line', async () => {
    const log = new LogLines();
    const app = await TestApp.start({
      providers: [Handlers],
      logger: log,
      poolSize: 20,
      reliableMq: { ...QUICK, shutdown: { drainMs: 500 } },
    });
    const [events, handlers] = [app.get(EventRecorder), app.get(Handlers)];
    await events.transaction(async () => {
      for (const text of ['one', 'two', 'endless']) await events.record(note(FreeNote, text));
    });
    await eventually(() => expect(handlers.running).toBe(3));
    const closed = app.dispose();
    handlers.mayEnd.resolve();
    await closed;
    expect(log.of('Stopped')).toMatchObject([
      { level: 'log', details: { finished: { handled: 2, failed: 0 }, givenBack: { messages: 1, events: 0 } } },
    ]);
  });
});

describe('the health of a producer', () => {
  it('is not good while nobody consumes a queue that its events wait for', async () => {
    const producer = await Producer.create();
    try {
      producer.bind({ 'stock.note.declared': 'note.declared', 'mail.note.declared': 'note.declared' });
      const app = await producer.start({ receipts: { chaseAfterMs: 100 } });
      const check = () => app.get(ReliableMqHealth).check();
      await expect(check()).resolves.toEqual({ healthy: true, status: 'up', reasons: [] });
      await app.get(NoteService).record(note(DeclaredNote));
      await eventually(async () =>
        expect((await check()).reasons.toSorted()).toEqual(
          ['mail', 'stock'].map(
            (consumer) => `nobody consumes queue "${consumer}.note.declared", which events of this service wait for`,
          ),
        ),
      );
    } finally {
      await producer.dispose();
    }
  });
});
