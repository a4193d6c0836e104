import { randomUUID } from 'node:crypto';
import { type DynamicModule, Injectable, type Provider, type Type } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { IsString } from 'class-validator';
import {
  type EventContext,
  MemoryBroker,
  ReliableEvent,
  ReliableEventHandler,
  type ReliableMqModuleExtras,
  type ReliableMqOptions,
} from 'nestjs-reliable-mq';
import { Column, Entity, PrimaryGeneratedColumn, Repository } from 'typeorm';
import { HEADER } from '../support/wire-headers';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { eventually } from '../support/eventually';
import { QUICK, type ReliableApp, startReliableApp } from '../support/reliable-app';

export const SERVICE = 'desk';
export const RECEIPTS = 'producer.receipts';

/** What a handler leaves in its database. */
@Entity()
export class Effect {
  @PrimaryGeneratedColumn('uuid') id!: string;
  @Column('varchar') eventId!: string;
  @Column('varchar') note!: string;
}

@ReliableEvent({ type: 'note.taken' })
export class NoteTaken {
  @IsString() text!: string;
}

export interface HandlerCall {
  readonly event: NoteTaken;
  readonly context: EventContext;
}

/** What the handler does: the test decides, and sees each call. */
@Injectable()
export class Script {
  readonly calls: HandlerCall[] = [];
  onEvent: (event: NoteTaken, context: EventContext) => unknown = () => undefined;
}

/** Writes one effect through its injected repository, then does what the script says. */
@Injectable()
export class NoteHandler {
  constructor(
    readonly script: Script,
    @InjectRepository(Effect) readonly effects: Repository<Effect>,
  ) {}

  @ReliableEventHandler(NoteTaken)
  async take(event: NoteTaken, context: EventContext): Promise<void> {
    this.script.calls.push({ event, context });
    await this.effects.insert({ eventId: context.eventId, note: event.text });
    await this.script.onEvent(event, context);
  }
}

export interface InboxRowView {
  readonly event_id: string;
  readonly consumer: string;
  readonly type: string;
  readonly status: string;
  readonly attempts: number;
  readonly unfinished_starts: number;
  readonly reason: string | null;
  readonly history: readonly { attempt: number; reason: string }[];
  readonly body: Buffer | null;
  readonly due_at: Date | null;
}

export interface ConsumingOptions {
  readonly providers?: readonly Provider[];
  readonly imports?: readonly (DynamicModule | Type)[];
  readonly entities?: readonly Type[];
  readonly reliableMq?: Partial<ReliableMqOptions & ReliableMqModuleExtras>;
  readonly poolSize?: number;
  readonly broker?: MemoryBroker;
  /** Share the database of another application. */
  readonly database?: TestDatabase;
  /** Reach the database at another address, for example through a proxy. */
  readonly url?: (url: string) => string;
  readonly more?: Readonly<Record<string, string>>;
}

export interface SentMessage {
  readonly messageId?: string;
  readonly type?: string;
  readonly queue?: string;
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly body?: Buffer;
  /** As if one of our producers had sent it: receipts go to `RECEIPTS`. */
  readonly fromProducer?: boolean;
}

/** One consuming application on the in-memory broker, and everything that can be seen of it from outside. */
export class Consuming {
  private constructor(
    readonly app: ReliableApp,
    readonly broker: MemoryBroker,
    readonly database: TestDatabase,
    private readonly ownsDatabase: boolean,
  ) {}

  static async start(options: ConsumingOptions = {}): Promise<Consuming> {
    const database = options.database ?? (await createTestDatabase());
    const broker = options.broker ?? new MemoryBroker();
    const { consume, compensation, ...rest } = options.reliableMq ?? {};
    const app = await startReliableApp({
      url: options.url?.(database.url) ?? database.url,
      more: options.more,
      entities: options.entities ?? [Effect],
      providers: options.providers ?? [Script, NoteHandler],
      imports: options.imports,
      poolSize: options.poolSize,
      reliableMq: {
        ...QUICK,
        service: SERVICE,
        transport: broker,
        ...rest,
        consume: { ...QUICK.consume, ...consume },
        compensation: { ...QUICK.compensation, ...compensation },
      },
    });
    broker.declare({ name: RECEIPTS, kind: 'receipts', bindings: [] });
    return new Consuming(app, broker, database, options.database === undefined);
  }

  get script(): Script {
    return this.app.get(Script);
  }

  /** @returns the message's id */
  send(text: string, sent: SentMessage = {}): string {
    const messageId = sent.messageId ?? randomUUID();
    const type = sent.type ?? 'note.taken';
    const headers = { ...(sent.fromProducer && { [HEADER.version]: 1, [HEADER.source]: 'default' }), ...sent.headers };
    const body = sent.body ?? Buffer.from(JSON.stringify({ text }));
    const replyTo = sent.fromProducer ? RECEIPTS : undefined;
    const target = sent.queue === undefined ? { routingKey: type } : { queue: sent.queue };
    this.broker.publish(target, { body, properties: { messageId, type, headers, replyTo, ...sent.properties } });
    return messageId;
  }

  inbox(eventId?: string): Promise<InboxRowView[]> {
    return this.app.query(
      'SELECT * FROM reliable_mq_inbox WHERE $1::text IS NULL OR event_id = $1 ORDER BY consumer, received_at',
      [eventId ?? null],
    );
  }

  /** The message's row, once it has this status. */
  async settled(eventId: string, status: string, consumer = SERVICE): Promise<InboxRowView> {
    return eventually(async () => {
      const row = (await this.inbox(eventId)).find((each) => each.consumer === consumer);
      expect(row).toMatchObject({ status });
      return row as InboxRowView;
    });
  }

  async notes(eventId: string): Promise<string[]> {
    const effects = await this.app.query<{ note: string }>(
      'SELECT note FROM effect WHERE "eventId" = $1 ORDER BY note',
      [eventId],
    );
    return effects.map(({ note }) => note);
  }

  callsOf(eventId: string): readonly HandlerCall[] {
    return this.script.calls.filter(({ context }) => context.eventId === eventId);
  }

  /** All receipts that the consumer sent for the event, in order. */
  receipts(eventId: string): readonly Record<string, unknown>[] {
    return this.broker
      .messages(RECEIPTS)
      .flatMap(({ body }) => (JSON.parse(body.toString()) as { receipts: Record<string, unknown>[] }).receipts)
      .filter((receipt) => receipt['eventId'] === eventId);
  }

  waiting(queue = `${SERVICE}.note.taken`): number {
    return this.broker.messages(queue).length;
  }

  async close(): Promise<void> {
    await this.app.close();
    if (this.ownsDatabase) await this.database.drop();
  }
}
