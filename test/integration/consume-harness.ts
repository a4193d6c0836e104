import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { IsString } from 'class-validator';
import { type EventContext, type MemoryBroker, ReliableEvent, ReliableEventHandler } from 'nestjs-reliable-mq';
import { Column, Entity, PrimaryGeneratedColumn, Repository } from 'typeorm';
import type { InboxRow } from '../support/database';
import { eventually } from '../support/eventually';
import { quick, TestApp, type TestAppOptions } from '../support/test-app';
import { HEADER } from '../support/wire-headers';

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
  private constructor(readonly app: TestApp) {}

  /** Handles `NoteTaken` by the script, unless it is given other handlers. */
  static async start(options: TestAppOptions = {}): Promise<Consuming> {
    const app = await TestApp.start({
      entities: [Effect],
      providers: [Script, NoteHandler],
      ...options,
      reliableMq: { service: SERVICE, ...quick(options.reliableMq) },
    });
    app.broker.declare({ name: RECEIPTS, kind: 'receipts', bindings: [] });
    return new Consuming(app);
  }

  get broker(): MemoryBroker {
    return this.app.broker;
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

  inbox(eventId?: string): Promise<InboxRow[]> {
    return this.app.inbox({ id: eventId });
  }

  /** The message's row, once it has this status. */
  async settled(eventId: string, status: InboxRow['status'], consumer = SERVICE): Promise<InboxRow> {
    return eventually(async () => {
      const row = (await this.inbox(eventId)).find((each) => each.consumer === consumer);
      expect(row).toMatchObject({ status });
      return row as InboxRow;
    });
  }

  /** What handlings of the event have committed, sorted. */
  async notes(eventId: string): Promise<string[]> {
    const effects = await this.app.query<{ note: string }>('SELECT note FROM effect WHERE "eventId" = $1', [eventId]);
    return effects.map(({ note }) => note).toSorted();
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

  dispose(): Promise<void> {
    return this.app.dispose();
  }
}
