import { AsyncLocalStorage } from 'node:async_hooks';
import {
  type ArgumentMetadata,
  type ArgumentsHost,
  BadRequestException,
  type CallHandler,
  type CanActivate,
  Catch,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  Injectable,
  Module,
  type NestInterceptor,
  type PipeTransform,
  SetMetadata,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
} from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR, APP_PIPE, Reflector } from '@nestjs/core';
import { InjectRepository } from '@nestjs/typeorm';
import { IsString } from 'class-validator';
import { ClsModule, ClsService } from 'nestjs-cls';
import {
  type EventContext,
  EventOperations,
  EventRecorder,
  RejectEvent,
  RELIABLE_MQ_CONTEXT,
  ReliableEvent,
  ReliableEventHandler,
  type ReliableMqContextType,
} from 'nestjs-reliable-mq';
import { catchError, map, type Observable, tap, throwError } from 'rxjs';
import { Repository } from 'typeorm';
import { createTestDatabase } from '../support/database';
import { eventually } from '../support/eventually';
import { Consuming, Effect, NoteHandler, Script, SERVICE } from './consume-harness';

@Injectable()
class TraceLog {
  readonly entries: string[] = [];
  add(entry: string): void {
    this.entries.push(entry);
  }
  of(text: string): string[] {
    return this.entries.filter((entry) => entry.startsWith(`${text}:`)).map((entry) => entry.slice(text.length + 1));
  }
}

const textOf = (context: ExecutionContext): string => (context.getArgs<[{ text: string }]>()[0] ?? { text: '' }).text;

@Injectable()
class GlobalGuard implements CanActivate {
  constructor(private readonly log: TraceLog) {}
  canActivate(context: ExecutionContext): boolean {
    if (context.getType<ReliableMqContextType>() !== RELIABLE_MQ_CONTEXT) throw new Error('there are no requests here');
    this.log.add(`${textOf(context)}:global guard ${context.getClass().name}#${context.getHandler().name}`);
    return textOf(context) !== 'denied globally';
  }
}

@Injectable()
class LocalGuard implements CanActivate {
  constructor(
    private readonly log: TraceLog,
    private readonly reflector: Reflector,
  ) {}
  canActivate(context: ExecutionContext): boolean {
    this.log.add(`${textOf(context)}:guard for ${this.reflector.get<string>('role', context.getHandler())}`);
    if (textOf(context) === 'denied for HTTP') {
      const { headers } = context.switchToHttp().getRequest<{ headers: Record<string, string> }>();
      return headers['authorization'] !== undefined;
    }
    return textOf(context) !== 'denied';
  }
}

@Injectable()
class GlobalInterceptor implements NestInterceptor {
  constructor(private readonly log: TraceLog) {}
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const text = textOf(context);
    this.log.add(`${text}:before all`);
    return next.handle().pipe(tap(() => this.log.add(`${text}:after all`)));
  }
}

@Injectable()
class LocalInterceptor implements NestInterceptor {
  constructor(private readonly log: TraceLog) {}
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const text = textOf(context);
    return next.handle().pipe(
      map((result) => result as unknown),
      catchError((error: unknown) => {
        this.log.add(`${text}:interceptor saw ${(error as Error).message}`);
        return throwError(() => (text === 'made a rejection' ? new RejectEvent('by the interceptor') : error));
      }),
    );
  }
}

@Injectable()
class GlobalPipe implements PipeTransform {
  transform(value: unknown, { type }: ArgumentMetadata): unknown {
    return type === 'body' ? Object.assign(value as object, { stamped: true }) : value;
  }
}

@Injectable()
class ShoutPipe implements PipeTransform {
  transform(value: { text: string }, { type, metatype }: ArgumentMetadata): unknown {
    if (type !== 'body') return value;
    if (value.text === 'refused') throw new BadRequestException('the pipe says no');
    // As the ValidationPipe does.
    if (value.text === 'refused twice') throw new BadRequestException(['sku is empty', 'quantity is 0']);
    return Object.assign(new (metatype as new () => object)(), value, { shouted: value.text.toUpperCase() });
  }
}

class DomainError extends Error {}

@Catch(DomainError)
class DomainFilter implements ExceptionFilter {
  async catch(error: DomainError, host: ArgumentsHost): Promise<string> {
    const [event] = host.getArgs<[{ text: string }]>();
    if (event.text === 'swallowed') return 'an answer, as for a client that waits for one';
    throw new RejectEvent(`the filter says: ${error.message}`);
  }
}

@Catch(RangeError)
class GlobalFilter implements ExceptionFilter {
  catch(error: RangeError): void {
    throw new RejectEvent(`the global filter says: ${error.message}`);
  }
}

/** Written for HTTP alone, and meant for everything. */
@Catch(SyntaxError)
class HttpFilter implements ExceptionFilter {
  catch(error: SyntaxError, host: ArgumentsHost): void {
    const response = host.switchToHttp().getResponse<{ status(code: number): { send(body: string): void } }>();
    response.status(500).send(error.message);
  }
}

@ReliableEvent({ type: 'call.made' })
class CallMade {
  @IsString() text!: string;
  shouted?: string;
  stamped?: boolean;
}

@Controller()
class CallController {
  readonly calls: { event: CallMade; context: EventContext }[] = [];

  constructor(@InjectRepository(Effect) private readonly effects: Repository<Effect>) {}

  @ReliableEventHandler(CallMade, { maxAttempts: 2 })
  @SetMetadata('role', 'clerk')
  @UseGuards(LocalGuard)
  @UseInterceptors(LocalInterceptor)
  @UsePipes(ShoutPipe)
  @UseFilters(DomainFilter)
  async take(event: CallMade, context: EventContext): Promise<string> {
    this.calls.push({ event, context });
    await this.effects.insert({ eventId: context.eventId, note: event.text });
    if (event.text === 'business') throw new SyntaxError('business failed');
    if (event.text === 'ranged') throw new RangeError('too far');
    if (event.text === 'made a rejection') throw new Error('plain');
    if (event.text === 'swallowed' || event.text === 'domain') throw new DomainError('not in this domain');
    return 'ignored';
  }
}

@Module({
  controllers: [CallController],
  imports: [],
  providers: [
    TraceLog,
    { provide: APP_GUARD, useClass: GlobalGuard },
    { provide: APP_INTERCEPTOR, useClass: GlobalInterceptor },
    { provide: APP_PIPE, useClass: GlobalPipe },
    { provide: APP_FILTER, useClass: GlobalFilter },
    { provide: APP_FILTER, useClass: HttpFilter },
  ],
  exports: [TraceLog],
})
class EnhancedModule {}

describe("Nest's enhancers around a handler", () => {
  let consuming: Consuming;

  beforeAll(async () => {
    const { TypeOrmModule } = await import('@nestjs/typeorm');
    consuming = await Consuming.start({
      imports: [{ module: EnhancedModule, imports: [TypeOrmModule.forFeature([Effect])] }],
    });
  });
  afterAll(() => consuming.dispose());

  function call(text: string): string {
    return consuming.send(text, { type: 'call.made', fromProducer: true });
  }

  const controller = (): CallController => consuming.app.get(CallController);
  const log = (): TraceLog => consuming.app.get(TraceLog);

  it('all run, in their order, also on a controller', async () => {
    const id = call('plain');
    await consuming.settled(id, 'handled');
    expect(log().of('plain')).toEqual([
      'global guard CallController#take',
      'guard for clerk',
      'before all',
      'after all',
    ]);
    await expect(consuming.notes(id)).resolves.toEqual(['plain']);
  });

  it('let pipes transform the payload, and leave the context alone', async () => {
    const id = call('loud');
    await consuming.settled(id, 'handled');
    const [seen] = controller().calls.filter(({ context }) => context.eventId === id);
    expect(seen?.event).toBeInstanceOf(CallMade);
    expect(seen?.event).toMatchObject({ text: 'loud', shouted: 'LOUD', stamped: true });
    expect(seen?.context).toMatchObject({ eventId: id, attempt: 1, consumer: SERVICE });
    expect(seen?.context.manager.queryRunner).toBeDefined();
  });

  it.each([
    ['denied', 'ForbiddenException: Forbidden resource'],
    ['denied globally', 'ForbiddenException: Forbidden resource'],
    ['denied for HTTP', "TypeError: Cannot read properties of undefined (reading 'authorization')"],
    ['refused', 'the pipe says no'],
    ['refused twice', 'BadRequestException: Bad Request Exception: sku is empty, quantity is 0'],
  ])('make a failed attempt of what they refuse, and the reason says that it was they: %s', async (text, reason) => {
    const id = call(text);
    const row = await consuming.settled(id, 'dead');
    expect(row.attempts).toBe(2);
    expect(row.reason).toContain(
      `${reason} (thrown before the handler, by a guard, pipe or interceptor; global ones see handlers too: ` +
        "context.getType() is 'reliable-mq')",
    );
    expect(controller().calls.filter(({ context }) => context.eventId === id)).toEqual([]);
  });

  it.each([
    ['an exception filter', 'domain', 'the filter says: not in this domain'],
    ['a global exception filter', 'ranged', 'the global filter says: too far'],
    ['an interceptor', 'made a rejection', 'by the interceptor'],
  ])('may turn an error into a rejection: %s', async (_, text, reason) => {
    const id = call(text);
    await expect(consuming.settled(id, 'rejected')).resolves.toMatchObject({ attempts: 1, reason });
    await expect(consuming.notes(id)).resolves.toEqual([]);
  });

  it('cannot make a success of an error by returning from a filter', async () => {
    const id = call('swallowed');
    await expect(consuming.settled(id, 'dead')).resolves.toMatchObject({
      attempts: 2,
      reason: expect.stringContaining('not in this domain') as string,
    });
    await expect(consuming.notes(id)).resolves.toEqual([]);
  });

  it("keep the handler's error when a filter fails itself", async () => {
    const id = call('business');
    await expect(consuming.settled(id, 'dead')).resolves.toMatchObject({
      reason:
        'given up after 2 attempts: SyntaxError: business failed ' +
        '(and the exception filter failed: TypeError: response.status is not a function)',
    });
  });

  it('also surround handlers in providers', async () => {
    const id = consuming.send('provider');
    await consuming.settled(id, 'handled');
    expect(log().of('provider')).toEqual(['global guard NoteHandler#take', 'before all', 'after all']);
  });
});

@ReliableEvent({ type: 'echo.wanted' })
class EchoWanted {
  @IsString() text!: string;
}

const request = new AsyncLocalStorage<string>();

@Injectable()
class ContextHandler {
  readonly seen: { text: string; store: string | undefined; cls: unknown; clsActive: boolean }[] = [];

  constructor(
    private readonly cls: ClsService,
    readonly events: EventRecorder,
  ) {}

  @ReliableEventHandler(EchoWanted, { backoff: { initialMs: 1_000, maxMs: 1_000 } })
  async take({ text }: EchoWanted, { attempt }: EventContext): Promise<void> {
    this.seen.push({
      text,
      store: request.getStore(),
      cls: this.cls.isActive() ? this.cls.get('user') : undefined,
      clsActive: this.cls.isActive(),
    });
    await this.cls.run(async () => {
      this.cls.set('user', `handler of ${text}`);
      await Promise.resolve();
      if (attempt === 1 && text.startsWith('retried')) throw new Error('once');
    });
  }
}

describe('asynchronous contexts', () => {
  it('of the publisher and of other messages do not reach a handler, nor its retries', async () => {
    const consuming = await Consuming.start({
      imports: [ClsModule.forRoot({ global: true })],
      providers: [Script, NoteHandler, ContextHandler],
    });
    try {
      const { events, seen } = consuming.app.get(ContextHandler);
      const cls = consuming.app.get(ClsService);
      const record = (text: string): Promise<unknown> =>
        request.run(`request of ${text}`, () =>
          cls.run(async () => {
            cls.set('user', `publisher of ${text}`);
            return events.transaction(() => events.record(Object.assign(new EchoWanted(), { text })));
          }),
        );
      await Promise.all(['recorded', 'retried once'].map(record));
      await eventually(() => expect(seen).toHaveLength(3));
      // The in-memory broker delivers in the call chain of whoever publishes.
      request.run('a foreign request', () => consuming.send('sent', { type: 'echo.wanted' }));
      await eventually(() => expect(seen).toHaveLength(4));
      const patient = consuming.send('retried by hand', { type: 'echo.wanted' });
      await consuming.settled(patient, 'failed');
      await request.run('an operator', () =>
        consuming.app.get(EventOperations).retryInbox([{ eventId: patient, consumer: SERVICE }]),
      );
      await consuming.settled(patient, 'handled');
      expect(seen.map(({ text, store, clsActive }) => ({ text, store, clsActive }))).toEqual(
        seen.map(({ text }) => ({ text, store: undefined, clsActive: false })),
      );
    } finally {
      await consuming.dispose();
    }
  });
});

@ReliableEvent({ type: 'ledger.entered' })
class LedgerEntered {
  @IsString() text!: string;
}

@Injectable()
class LedgerHandler {
  @ReliableEventHandler(LedgerEntered, { dataSource: 'ledger', backoff: { initialMs: 10 } })
  async enter({ text }: LedgerEntered, { manager, eventId, attempt }: EventContext): Promise<void> {
    await manager.insert(Effect, { eventId, note: text });
    if (attempt === 1) throw new Error('once');
  }
}

describe('a handler of another DataSource', () => {
  it('has its inbox, its transaction and its retries there', async () => {
    const ledger = await createTestDatabase();
    const consuming = await Consuming.start({
      providers: [Script, NoteHandler, LedgerHandler],
      more: { ledger },
      reliableMq: { dataSources: ['default', 'ledger'] },
    });
    try {
      const id = consuming.send('booked', { type: 'ledger.entered', fromProducer: true });
      await eventually(async () =>
        expect(await ledger.inbox({ id })).toMatchObject([{ status: 'handled', attempts: 2 }]),
      );
      await expect(ledger.query('SELECT note FROM effect WHERE "eventId" = $1', [id])).resolves.toEqual([
        { note: 'booked' },
      ]);
      await expect(consuming.inbox(id)).resolves.toEqual([]);
      await eventually(() =>
        expect(consuming.receipts(id).map(({ outcome }) => outcome)).toEqual(['retrying', 'handled']),
      );
    } finally {
      await consuming.dispose();
      await ledger.drop();
    }
  });
});
