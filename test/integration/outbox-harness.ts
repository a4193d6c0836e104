import { type Provider, Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { IsString } from 'class-validator';
import {
  EventRecorder,
  type Hooks,
  MemoryBroker,
  ReliableEvent,
  type ReliableMqModuleExtras,
  type ReliableMqOptions,
} from 'nestjs-reliable-mq';
import { Column, Entity, PrimaryGeneratedColumn, Repository } from 'typeorm';
import { createTestDatabase, type DatabaseName, type OutboxRow, type TestDatabase } from '../support/database';
import { eventually } from '../support/eventually';
import { QUICK, TestApp } from '../support/test-app';

export const SERVICE = 'shop';
export const RECEIPTS = 'shop.receipts.quorum';
const SOURCE = 'default';

/** What business methods and compensations leave in the database. */
@Entity()
export class Note {
  @PrimaryGeneratedColumn('uuid') id!: string;
  @Column('varchar') text!: string;
}

/** Ends when the first consumer has handled it. */
@ReliableEvent({ type: 'note.free' })
export class FreeNote {
  @IsString() text!: string;
}

/** Ends when both have handled it. */
@ReliableEvent({ type: 'note.declared', consumers: ['stock', 'mail'] })
export class DeclaredNote {
  @IsString() text!: string;
}

/** Ends when it is published. */
@ReliableEvent({ type: 'note.unconfirmed', confirm: false })
export class UnconfirmedNote {
  @IsString() text!: string;
}

/** Given up by its producer sooner than others. */
@ReliableEvent({ type: 'note.hasty', giveUp: { maxAttempts: 2, backoff: { initialMs: 10, maxMs: 10 } } })
export class HastyNote {
  @IsString() text!: string;
}

@Injectable()
export class NoteService {
  constructor(
    @InjectRepository(Note) readonly notes: Repository<Note>,
    private readonly events: EventRecorder,
  ) {}

  /** @returns the event id */
  record(event: object): Promise<string> {
    return this.events.transaction(() => this.events.record(event));
  }

  async recordMany(count: number): Promise<void> {
    await this.events.transaction(async () => {
      for (let left = count; left > 0; left -= 1)
        await this.events.record(Object.assign(new FreeNote(), { text: `${left}` }));
    });
  }
}

export interface ReceiptBody {
  readonly eventId: string;
  readonly consumer: string;
  readonly outcome: string;
  readonly reason?: string | null;
  readonly retryAfterMs?: number | null;
  readonly redrives?: number;
}

/** A producer on an in-memory broker, whose consumers the test plays. */
export class Producer {
  private readonly apps: TestApp[] = [];

  private constructor(
    readonly database: TestDatabase,
    readonly broker: MemoryBroker,
  ) {}

  static async create(database?: DatabaseName): Promise<Producer> {
    return new Producer(await createTestDatabase(database), new MemoryBroker());
  }

  async start(
    options: Partial<ReliableMqOptions & ReliableMqModuleExtras> = {},
    providers: readonly Provider[] = [NoteService],
  ): Promise<TestApp> {
    const { database, broker } = this;
    const reliableMq = { ...QUICK, service: SERVICE, ...options };
    const app = await TestApp.start({ database, broker, entities: [Note], providers, reliableMq });
    this.apps.push(app);
    return app;
  }

  async stop(app: TestApp): Promise<void> {
    this.apps.splice(this.apps.indexOf(app), 1);
    await app.close();
  }

  /** Let queues exist, with nobody who takes from them. */
  bind(queues: Readonly<Record<string, string>>): void {
    for (const [name, type] of Object.entries(queues)) {
      this.broker.declare({ name, kind: 'events', bindings: [type], parkingQueue: 'test.parked' });
    }
  }

  /** Event ids that wait in a queue. */
  messageIds(queue: string): unknown[] {
    return this.broker.messages(queue).map(({ properties }) => properties['messageId']);
  }

  sendReceipts(...receipts: readonly ReceiptBody[]): void {
    this.sendToReceipts(JSON.stringify({ receipts: receipts.map((receipt) => ({ source: SOURCE, ...receipt })) }));
  }

  sendToReceipts(body: string | Buffer): void {
    this.broker.publish({ queue: RECEIPTS }, { body: Buffer.from(body as string) });
  }

  async row(id: string): Promise<OutboxRow> {
    const [row] = await this.database.outbox({ id });
    if (!row) throw new Error(`there is no row ${id}`);
    return row;
  }

  rows(): Promise<OutboxRow[]> {
    return this.database.outbox();
  }

  /** Waits until the row looks so. */
  async until(id: string, expected: Partial<OutboxRow>): Promise<OutboxRow> {
    return eventually(async () => {
      const row = await this.row(id);
      expect(row).toMatchObject(expected);
      return row;
    });
  }

  async dispose(): Promise<void> {
    await Promise.all(this.apps.splice(0).map((app) => app.close()));
    await this.database.drop();
  }
}

export function note<T extends object>(eventClass: new () => T, text = 'a note'): T {
  return Object.assign(new eventClass(), { text });
}

/** Hooks that remember what they were told. */
export function remembering<Name extends keyof Hooks>(
  ...names: Name[]
): { hooks: Partial<Hooks>; told: (name: Name) => unknown[] } {
  const calls: { name: string; argument: unknown }[] = [];
  const hooks = Object.fromEntries(
    names.map((name) => [name, (argument: unknown) => void calls.push({ name, argument })]),
  );
  return {
    hooks,
    told: (name) => calls.filter((call) => call.name === name).map(({ argument }) => argument),
  };
}
