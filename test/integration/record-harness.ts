import type { DynamicModule, Provider, Type } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { IsString } from 'class-validator';
import {
  EventRecorder,
  MemoryBroker,
  ReliableEvent,
  type ReliableMqModuleExtras,
  type ReliableMqOptions,
} from 'nestjs-reliable-mq';
import { Column, type DataSource, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { eventually } from '../support/eventually';
import { type ReliableApp, startReliableApp } from '../support/reliable-app';

/** The business row of the record specs. */
@Entity()
export class Note {
  @PrimaryGeneratedColumn('uuid') id!: string;
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

/** An application on a database of its own, and a queue that shows what it has published. */
export interface Recording {
  readonly app: ReliableApp;
  readonly database: TestDatabase;
  readonly broker: MemoryBroker;
  readonly events: EventRecorder;
  /** Texts of the business rows, sorted. */
  notes(dataSource?: DataSource): Promise<string[]>;
  /** Texts of the outbox rows, in the order of their ids. */
  stored(dataSource?: DataSource): Promise<string[]>;
  /** Texts of what was published, in order, once everything that was committed before the call has been published. */
  published(): Promise<string[]>;
  /** Empties tables and queues. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

export interface RecordingOptions {
  readonly providers?: readonly Provider[];
  readonly imports?: readonly (DynamicModule | Type)[];
  readonly entities?: readonly Type[];
  /** Further DataSources by name. */
  readonly more?: Readonly<Record<string, string>>;
  /** Those of them whose repositories are injected. */
  readonly featuresOf?: readonly string[];
  readonly types?: readonly string[];
  readonly poolSize?: number;
  readonly onDataSource?: (dataSource: DataSource) => DataSource;
  readonly reliableMq?: Partial<ReliableMqOptions> & ReliableMqModuleExtras;
}

/** The compensation task is off: what is published has come straight from a commit. */
export async function startRecording(options: RecordingOptions = {}): Promise<Recording> {
  const {
    providers,
    imports = [],
    more,
    featuresOf = [],
    poolSize,
    onDataSource,
    entities = [],
    types = ['note.written'],
  } = options;
  const database = await createTestDatabase();
  const broker = new MemoryBroker();
  broker.declare({ name: TAP, kind: 'events', bindings: types });
  const app = await startReliableApp({
    url: database.url,
    more,
    poolSize,
    onDataSource,
    imports: [...featuresOf.map((name) => TypeOrmModule.forFeature([Note, ...entities], name)), ...imports],
    entities: [Note, ...entities],
    providers,
    reliableMq: {
      service: 'notes',
      transport: broker,
      consumer: false,
      compensation: { enabled: false },
      ...options.reliableMq,
    },
  });
  const events = app.get(EventRecorder);

  const texts = async (dataSource: DataSource, sql: string): Promise<string[]> =>
    (await dataSource.query<{ text: string }[]>(sql)).map(({ text }) => text);
  const inTap = (): string[] =>
    broker.messages(TAP).map(({ body }) => (JSON.parse(body.toString()) as NoteWritten).text);

  return {
    app,
    database,
    broker,
    events,
    notes: (dataSource = app.dataSource) => texts(dataSource, 'SELECT text FROM note ORDER BY text'),
    stored: (dataSource = app.dataSource) =>
      texts(
        dataSource,
        `SELECT payload ->> 'text' AS text FROM reliable_mq_outbox WHERE payload ->> 'text' <> '${END}' ORDER BY id`,
      ),
    published: async () => {
      // Events leave in commit order: when this one is out, so is whatever will ever come of those before.
      await events.transaction(() => events.record(noteWritten(END)));
      await eventually(() => inTap().includes(END));
      return inTap().filter((text) => text !== END);
    },
    reset: async () => {
      await app.query('TRUNCATE note, reliable_mq_outbox');
      broker.purge(TAP);
    },
    close: async () => {
      await app.close();
      await database.drop();
    },
  };
}
