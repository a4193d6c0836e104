import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Propagation, Transactional, TransactionHost } from '@nestjs-cls/transactional';
import type { TransactionalAdapterTypeOrm } from '@nestjs-cls/transactional-adapter-typeorm';
import { EventRecorder, TransactionalEvent } from 'nestjs-reliable-mq';
import { Repository } from 'typeorm';
import { describeEachDatabase } from '../support/each-database';
import { nestjsCls } from './nestjs-cls';
import { Note, NoteWritten, noteWritten, Recording } from './record-harness';
import { itSharesTransactions } from './transactional-styles';

type Adapter = TransactionalAdapterTypeOrm;

const toEvent = (_: void, text: string): { text: string } => ({ text });

@Injectable()
class Notes {
  constructor(
    @InjectRepository(Note) readonly notes: Repository<Note>,
    readonly events: EventRecorder,
    readonly host: TransactionHost<Adapter>,
  ) {}

  /** As nestjs-cls has it: through its transaction host. */
  private write(text: string): Promise<unknown> {
    return this.host.tx.insert(Note, { text });
  }

  @TransactionalEvent(NoteWritten, toEvent)
  async decorated(text: string): Promise<void> {
    await this.notes.insert({ text });
  }

  @Transactional()
  async outside(text: string, then?: () => void): Promise<void> {
    await this.write(`${text} (host)`);
    await this.decorated(text);
    await this.events.record(noteWritten(`${text} (host)`));
    then?.();
  }

  @TransactionalEvent(NoteWritten, toEvent)
  async inside(text: string, then?: () => void): Promise<void> {
    await this.notes.insert({ text });
    await this.transactional(`${text} (host)`);
    then?.();
  }

  @Transactional()
  async transactional(text: string): Promise<void> {
    await this.write(text);
    await this.events.record(noteWritten(text));
  }

  @Transactional()
  @TransactionalEvent(NoteWritten, toEvent)
  async above(text: string, then?: () => void): Promise<void> {
    await this.both(text, then);
  }

  @TransactionalEvent(NoteWritten, toEvent)
  @Transactional()
  async below(text: string, then?: () => void): Promise<void> {
    await this.both(text, then);
  }

  private async both(text: string, then: (() => void) | undefined): Promise<void> {
    await this.write(text);
    await this.notes.insert({ text: `${text} (host)` });
    await this.events.record(noteWritten(`${text} (host)`));
    then?.();
  }

  @Transactional()
  async nested(text: string): Promise<void> {
    await this.decorated(text);
    await this.host
      .withTransaction(Propagation.Nested, async () => {
        await this.decorated('undone');
        await this.events.record(noteWritten('undone'));
        throw new Error('undo');
      })
      .catch(() => undefined);
    await this.host.withTransaction(Propagation.Nested, () => this.decorated(`${text} (nested)`));
  }

  @Transactional()
  async independent(text: string): Promise<void> {
    await this.host.withTransaction(Propagation.RequiresNew, () => this.decorated(text));
    throw new Error('undo');
  }
}

describeEachDatabase('beside @nestjs-cls/transactional', (database) => {
  let recording: Recording;
  let notes: Notes;

  beforeAll(async () => {
    recording = await Recording.start({
      database,
      providers: [Notes],
      imports: [nestjsCls()],
    });
    notes = recording.app.get(Notes);
  });
  beforeEach(() => recording.reset());
  afterAll(() => recording.dispose());

  itSharesTransactions(
    () => recording,
    () => notes,
    '(host)',
  );

  it('takes events that are recorded in @Transactional alone', async () => {
    await notes.transactional('a');
    await recording.expectEverywhere('a');
  });

  it('follows its nested transactions', async () => {
    await notes.nested('a');
    await recording.expectEverywhere('a', 'a (nested)');
  });

  it('follows its independent transactions', async () => {
    await expect(notes.independent('a')).rejects.toThrow('undo');
    await recording.expectEverywhere('a');
  });
});
