import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { IsInt, IsString, Min } from 'class-validator';
import {
  EventRecorder,
  ReliableEvent,
  ReliableEventHandler,
  TransactionalEvent,
  TransactionEndedError,
} from 'nestjs-reliable-mq';
import { Column, Entity, PrimaryGeneratedColumn, Repository } from 'typeorm';
import { deferred } from '../support/deferred';
import { describeEachDatabase } from '../support/each-database';
import { eventually } from '../support/eventually';
import { QUICK, TestApp } from '../support/test-app';

@Entity()
class Booking {
  @PrimaryGeneratedColumn('uuid') id!: string;
  @Column('varchar') seat!: string;
}

@ReliableEvent({ type: 'seat.booked', consumers: [] })
class SeatBooked {
  @IsString() seat!: string;
  @IsInt() @Min(1) price!: number;
}

@ReliableEvent({ type: 'seat.cleaned', confirm: false })
class SeatCleaned {
  @IsString() seat!: string;
}

@Injectable()
class BoxOffice {
  /** What the branches were told that went on. */
  readonly refusals: unknown[] = [];

  constructor(
    @InjectRepository(Booking) readonly bookings: Repository<Booking>,
    readonly events: EventRecorder,
  ) {}

  /** A price of 0 is refused by the event's class, one below by the method. */
  @TransactionalEvent(SeatBooked, (booking: Booking, _: string, price: number) => ({ seat: booking.seat, price }))
  async book(seat: string, price: number): Promise<Booking> {
    if (price < 0) throw new Error('not for sale');
    return this.bookings.save({ seat });
  }

  bookAll(prices: readonly number[]): Promise<unknown> {
    const branch = async (price: number, index: number): Promise<void> => {
      try {
        await this.book(`seat ${index}`, price);
      } catch (error) {
        this.refusals.push(error);
        throw error;
      }
    };
    return this.events.transaction(() => Promise.all(prices.map(branch)));
  }
}

@Injectable()
class Cleaners {
  attempts = 0;
  private readonly late: Promise<unknown>[] = [];

  constructor(
    @InjectRepository(Booking) readonly bookings: Repository<Booking>,
    readonly events: EventRecorder,
  ) {}

  /** Works on three sides at once; the last fails in the first two attempts, and the others go on behind it. */
  @ReliableEventHandler(SeatBooked)
  async clean({ seat }: SeatBooked): Promise<void> {
    this.attempts += 1;
    const isFailing = this.attempts < 3;
    const failed = deferred();
    const side = async (name: string): Promise<void> => {
      await this.bookings.insert({ seat: `${seat} ${name}` });
      if (isFailing) await failed.promise;
      await this.bookings.insert({ seat: `${seat} ${name}, again` });
      await this.events.record(Object.assign(new SeatCleaned(), { seat: `${seat} ${name}` }));
    };
    const sides = ['left', 'right'].map(side);
    this.late.push(...sides.map((each) => each.catch((error: unknown) => error)));
    const last = async (): Promise<void> => {
      await this.bookings.insert({ seat: `${seat} back` });
      // Whoever waits for it goes on when the failure has been told.
      if (isFailing) setImmediate(() => failed.resolve());
      if (isFailing) throw new Error('out of soap');
    };
    await Promise.all([...sides, last()]);
  }

  async lateOutcomes(): Promise<unknown[]> {
    return Promise.all(this.late);
  }
}

describeEachDatabase(
  'a branch that goes on after its sibling has failed',
  (database) => {
    let theatre: TestApp;

    beforeAll(async () => {
      theatre = await TestApp.start({
        database,
        broker: 'rabbitmq',
        entities: [Booking],
        providers: [BoxOffice, Cleaners],
        reliableMq: QUICK,
      });
      theatre.rabbitmq.service('shop', 'seat.booked');
    }, 60_000);
    afterAll(() => theatre.dispose());

    it.each([
      ['the event’s class refuses', [0, 1]],
      ['the method refuses', [1, -1]],
      ['the method refuses, beside many', [1, 2, 3, 4, -1]],
    ])('stores and publishes nothing when %s', async (_, prices) => {
      const office = theatre.get(BoxOffice);
      office.refusals.length = 0;
      await expect(office.bookAll(prices)).rejects.toThrow();
      await eventually(() => expect(office.refusals).toHaveLength(prices.length));
      const others = office.refusals.filter((error) => error instanceof TransactionEndedError);
      expect(others).toHaveLength(prices.length - 1);
      await expect(theatre.query('SELECT seat FROM booking')).resolves.toEqual([]);
      await expect(theatre.outbox()).resolves.toEqual([]);
      expect(theatre.get(Cleaners).attempts).toBe(0);
    });

    it('of a handler leaves nothing behind either: its effects and events are stored once', async () => {
      await theatre.get(BoxOffice).book('A1', 5);
      const cleaners = theatre.get(Cleaners);
      await eventually(async () => {
        expect((await theatre.inbox()).filter(({ status }) => status === 'handled')).toHaveLength(1);
      });
      const outcomes = await cleaners.lateOutcomes();
      expect(outcomes.filter((outcome) => outcome instanceof TransactionEndedError)).toHaveLength(4);
      expect(cleaners.attempts).toBe(3);
      const seats = (await theatre.query<{ seat: string }>('SELECT seat FROM booking ORDER BY seat')).map(
        ({ seat }) => seat,
      );
      expect(seats).toEqual(['A1', 'A1 back', 'A1 left', 'A1 left, again', 'A1 right', 'A1 right, again']);
      const events = (await theatre.outbox()).filter(({ type }) => type === 'seat.cleaned');
      expect(events.map(({ payload }) => payload).toSorted()).toEqual(['{"seat":"A1 left"}', '{"seat":"A1 right"}']);
    });
  },
  'on demand',
);
