import { Injectable, Module } from '@nestjs/common';
import { LazyModuleLoader } from '@nestjs/core';
import { EventRecorder, ReliableEvent, ReliableEventHandler, TransactionalEvent } from 'nestjs-reliable-mq';
import { eventually } from '../support/eventually';
import { QUICK, TestApp } from '../support/test-app';
import { FreeNote, note } from './outbox-harness';

@ReliableEvent({ type: 'note.free', version: 2 })
class FreeNoteToo {
  text!: string;
}

@Injectable()
class LazyHandlers {
  readonly seen: string[] = [];

  @ReliableEventHandler(FreeNote)
  async handle({ text }: FreeNote): Promise<void> {
    this.seen.push(text);
  }

  @TransactionalEvent(FreeNote, () => note(FreeNote, 'recorded in there'))
  async record(): Promise<void> {}
}

@Module({ providers: [LazyHandlers], exports: [LazyHandlers] })
class LazyModule {}

@Injectable()
class WrongHandlers {
  @ReliableEventHandler(FreeNoteToo, { prefetch: 0 })
  async handle(): Promise<void> {}
}

@Module({ providers: [WrongHandlers] })
class WrongModule {}

@Injectable()
class LateVersion {
  @ReliableEventHandler(FreeNoteToo)
  async handle(): Promise<void> {}
}

@Module({ providers: [LateVersion] })
class LateVersionModule {}

describe('a module that is loaded later', () => {
  let app: TestApp;

  beforeEach(async () => (app = await TestApp.start({ reliableMq: QUICK })));
  afterEach(() => app.dispose());

  it('has its handlers consumed and its events recorded', async () => {
    const loader = app.get(LazyModuleLoader);
    const module = await loader.load(() => LazyModule);
    await loader.load(() => LazyModule);
    const handlers = module.get(LazyHandlers);
    const events = app.get(EventRecorder);
    await events.transaction(() => events.record(note(FreeNote, 'from outside')));
    await handlers.record();
    await eventually(() => expect(handlers.seen.toSorted()).toEqual(['from outside', 'recorded in there']));
  });

  it('is refused with what is wrong with it', async () => {
    const loader = app.get(LazyModuleLoader);
    await expect(loader.load(() => WrongModule)).rejects.toThrow(
      '@ReliableEventHandler on WrongHandlers#handle: prefetch must be a whole number from 1',
    );
  });

  it('is refused when its handler is another version of a queue that is consumed', async () => {
    const loader = app.get(LazyModuleLoader);
    await loader.load(() => LazyModule);
    await expect(loader.load(() => LateVersionModule)).rejects.toThrow(
      'Queue "shop.note.free" is consumed already: all versions of its handler must be loaded together.',
    );
  });
});
