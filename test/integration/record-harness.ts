import { TypeOrmModule } from '@nestjs/typeorm';
import { IsString } from 'class-validator';
import {
  type EventHeaders,
  EventRecorder,
  type InvalidEventError,
  MemoryBroker,
  ReliableEvent,
} from 'nestjs-reliable-mq';
import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import type { OutboxRow, TestDatabase } from '../support/database';
import { eventually } from '../support/eventually';
import { TestApp, type TestAppOptions } from '../support/test-app';

/** The business row of the record specs. */
@Entity()
export class Note {
  @PrimaryGeneratedColumn() id!: number;
  @Column('varchar') text!: string;
}

/** Its event. */
@ReliableEvent({ type: 'note.written' })
export class NoteWritten {
  @IsString() text!: string;
}

export function noteWritten(text: string): NoteWritten {
  return Object.assign(new NoteWritten(), { text });
}

const END = '(end)';
const TAP = 'tap';

export interface RecordingOptions extends TestAppOptions {
  /** Further DataSources whose repositories are injected. */
  readonly featuresOf?: readonly string[];
  /** Types of the events that the queue shows. */
  readonly types?: readonly string[];
}

/** An application that records, and a queue that shows what it has published. */
export class Recording {
  readonly events: EventRecorder;

  private constructor(readonly app: TestApp) {
    this.events = app.get(EventRecorder);
  }

  /** The compensation task is off: what is published has come straight from a commit. */
  static async start(options: RecordingOptions = {}): Promise<Recording> {
    const { featuresOf = [], types = ['note.written'], entities = [], imports = [], reliableMq, ...rest } = options;
    const broker = new MemoryBroker();
    broker.declare({ name: TAP, kind: 'events', bindings: types });
    const app = await TestApp.start({
      ...rest,
      broker,
      imports: [...featuresOf.map((name) => TypeOrmModule.forFeature([Note, ...entities], name)), ...imports],
      entities: [Note, ...entities],
      reliableMq: { service: 'notes', consumer: false, compensation: { enabled: false }, ...reliableMq },
    });
    return new Recording(app);
  }

  get broker(): MemoryBroker {
    return this.app.broker;
  }

  get database(): TestDatabase {
    return this.app.database;
  }

  /** Texts of the business rows, sorted. */
  async notes(database = this.database): Promise<string[]> {
    const rows = await database.query<{ text: string }>('SELECT text FROM note');
    return rows.map(({ text }) => text).toSorted();
  }

  /** Texts of the outbox rows, in the order of their ids. */
  async stored(database = this.database): Promise<string[]> {
    const rows = await database.outbox();
    return rows.map(textOf).filter((text): text is string => typeof text === 'string' && text !== END);
  }

  /** Texts of what was published, in order, once everything that was committed before the call has been published. */
  async published(): Promise<string[]> {
    // Events leave in commit order: when this one is out, so is whatever will ever come of those before.
    await this.events.transaction(() => this.events.record(noteWritten(END)));
    await eventually(() => this.inTap().includes(END));
    return this.inTap().filter((text) => text !== END);
  }

  /** What is published of these texts, stored in the outbox and in the business table, in any order. */
  async expectEverywhere(...texts: string[]): Promise<void> {
    expect((await this.published()).toSorted()).toEqual(texts);
    expect((await this.stored()).toSorted()).toEqual(texts);
    expect(await this.notes()).toEqual(texts);
  }

  /** Records an event in its own transaction. @returns its id */
  record(event: object, headers?: EventHeaders): Promise<string> {
    return this.events.transaction(() => this.events.record(event, headers ? { headers } : {}));
  }

  /** Writes a business row, records in the same transaction, and returns the error. Nothing of either may be left. */
  async refusalOf(event: object, headers?: EventHeaders): Promise<InvalidEventError> {
    const error: unknown = await this.events
      .transaction(async () => {
        await this.app.repository(Note).insert({ text: 'business' });
        await this.events.record(event, headers ? { headers } : {});
      })
      .then(
        () => undefined,
        (reason: unknown) => reason,
      );
    expect(await this.notes()).toEqual([]);
    expect(await this.app.outbox()).toEqual([]);
    return error as InvalidEventError;
  }

  /** Empties tables and queues. */
  async reset(): Promise<void> {
    await this.database.empty('note', 'reliable_mq_outbox');
    this.broker.purge(TAP);
  }

  dispose(): Promise<void> {
    return this.app.dispose();
  }

  /** Messages that were published, in order. */
  waiting(): ReturnType<MemoryBroker['messages']> {
    return this.broker.messages(TAP);
  }

  private inTap(): string[] {
    return this.waiting().map(({ body }) => (JSON.parse(body.toString()) as NoteWritten).text);
  }
}

function textOf({ payload }: OutboxRow): string | undefined {
  return (JSON.parse(payload) as Partial<NoteWritten>).text;
}
