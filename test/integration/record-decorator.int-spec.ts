import {
  Body,
  type CallHandler,
  type CanActivate,
  Controller,
  type ExecutionContext,
  HttpCode,
  Inject,
  Injectable,
  type NestInterceptor,
  Param,
  ParseIntPipe,
  type PipeTransform,
  Post,
  Scope,
  SetMetadata,
  UseGuards,
  UseInterceptors,
  UsePipes,
} from '@nestjs/common';
import { REQUEST, Reflector } from '@nestjs/core';
import { InjectRepository } from '@nestjs/typeorm';
import { IsInt, IsString } from 'class-validator';
import {
  EventRecorder,
  InvalidSetupError,
  NotAnEventError,
  ReliableEvent,
  TransactionalEvent,
} from 'nestjs-reliable-mq';
import { type Observable, map } from 'rxjs';
import { Repository } from 'typeorm';
import { describeEachDatabase } from '../support/each-database';
import { eventually } from '../support/eventually';
import { Note, NoteWritten, noteWritten, Recording } from './record-harness';

@ReliableEvent({ type: 'note.counted' })
class NoteCounted {
  @IsInt() length!: number;
  @IsString() text!: string;
}

@Injectable()
class Notes {
  readonly prefix: string = '';

  constructor(
    @InjectRepository(Note) readonly notes: Repository<Note>,
    readonly events: EventRecorder,
  ) {}

  @TransactionalEvent(NoteWritten, function (this: Notes, note: Note) {
    return { text: `${this.prefix}${note.text}` };
  })
  async write(text: string): Promise<Note> {
    return this.notes.save({ text: this.prefix + text });
  }

  /** The lower decorator records first. */
  @TransactionalEvent(NoteCounted, (note: Note) => ({ length: note.text.length, text: `${note.text} counted` }))
  @TransactionalEvent(NoteWritten, (note: Note) => ({ text: note.text }))
  async writeAndCount(text: string): Promise<Note> {
    return this.notes.save({ text });
  }

  @TransactionalEvent(NoteWritten, (_result: unknown, ...args: unknown[]) => ({ text: JSON.stringify(args) }))
  async takeAll(a?: unknown, b?: unknown, ...rest: unknown[]): Promise<unknown> {
    return { self: this, args: [a, b, ...rest] };
  }
}

@Injectable()
class LoudNotes extends Notes {
  override readonly prefix: string = '!';
}

@Injectable()
class CarefulNotes extends Notes {
  override async write(text: string): Promise<Note> {
    return this.events.transaction(async () => {
      await this.events.record(noteWritten(`before ${text}`));
      return super.write(text);
    });
  }
}

@Injectable({ scope: Scope.REQUEST })
class RequestNotes {
  constructor(
    @Inject(REQUEST) readonly request: { readonly url?: string },
    @InjectRepository(Note) readonly notes: Repository<Note>,
  ) {}

  @TransactionalEvent(NoteWritten, function (this: RequestNotes, _note: unknown) {
    return { text: this.request.url ?? 'no request' };
  })
  async write(): Promise<void> {
    await this.notes.insert({ text: 'in a request' });
  }
}

describeEachDatabase('@TransactionalEvent', (database) => {
  let recording: Recording;
  let notes: Notes;

  beforeAll(async () => {
    recording = await Recording.start({
      database,
      providers: [Notes, LoudNotes, CarefulNotes],
      types: ['note.written', 'note.counted'],
    });
    notes = recording.app.get(Notes);
  });
  beforeEach(() => recording.reset());
  afterAll(() => recording.dispose());

  it('hands on `this`, all arguments and the result', async () => {
    await expect(notes.takeAll(1, 'b', null, { c: 3 })).resolves.toEqual({
      self: notes,
      args: [1, 'b', null, { c: 3 }],
    });
    expect(await recording.stored()).toEqual(['[1,"b",null,{"c":3}]']);
  });

  it('leaves the name and the length of the method as they are', () => {
    expect(Notes.prototype.takeAll.name).toBe('takeAll');
    expect(Notes.prototype.write.length).toBe(1);
    expect(Object.keys(Notes.prototype)).toEqual([]);
  });

  it('may stand twice on a method: one transaction, both events', async () => {
    await notes.writeAndCount('abc');
    expect(await recording.published()).toEqual(['abc', 'abc counted']);
    await expect(notes.writeAndCount('\u0000')).rejects.toThrow();
    expect(await recording.notes()).toEqual(['abc']);
  });

  it('is inherited', async () => {
    await recording.app.get(LoudNotes).write('a');
    expect(await recording.notes()).toEqual(['!a']);
    expect(await recording.published()).toEqual(['!!a']);
  });

  it('is kept by a method that calls it with super', async () => {
    await recording.app.get(CarefulNotes).write('a');
    expect(await recording.published()).toEqual(['before a', 'a']);
  });

  it('refuses what is no event, and what is no method of an instance, when the class is defined', () => {
    class Plain {
      text!: string;
    }
    expect(() => {
      class Wrong {
        @TransactionalEvent(Plain)
        async run(): Promise<void> {}
      }
      return Wrong;
    }).toThrow(NotAnEventError);
    expect(() => {
      class Wrong {
        @TransactionalEvent(NoteWritten, () => null)
        static async run(): Promise<void> {}

        text!: string;
      }
      return Wrong;
    }).toThrow(/@TransactionalEvent on Wrong#run: it is not a method of an instance/);
  });

  it('says what is missing when Nest has not created the instance', async () => {
    const byHand = new Notes(notes.notes, notes.events);
    await expect(byHand.write('a')).rejects.toThrow(InvalidSetupError);
    await expect(byHand.write('a')).rejects.toThrow(
      /@TransactionalEvent on Notes#write: its class has no EventRecorder\. Import ReliableMqModule/,
    );
    const detached = Object.getOwnPropertyDescriptor(Notes.prototype, 'write')?.value as () => Promise<unknown>;
    await expect(detached()).rejects.toThrow(InvalidSetupError);
  });
});

describeEachDatabase('two applications in one process', (database) => {
  it('share nothing, not even through the classes they have in common', async () => {
    const [first, second] = await Promise.all([
      Recording.start({ database, providers: [Notes] }),
      Recording.start({ database, providers: [Notes] }),
    ]);
    try {
      const [one, two] = [first.app.get(Notes), second.app.get(Notes)];
      expect(one).not.toBe(two);
      await Promise.all([one.write('one'), two.write('two')]);
      // A transaction of the one is none of the other.
      await first.events.transaction(async () => {
        await expect(second.events.record(noteWritten('nowhere'))).rejects.toThrow('outside a transaction');
        await two.write('two, too');
        await two.notes.insert({ text: 'two by itself' });
      });
      await expect(
        first.events.transaction(async () => {
          await second.events.transaction(() => two.write('two, kept'));
          await one.write('undone');
          throw new Error('undo');
        }),
      ).rejects.toThrow('undo');

      expect(await first.published()).toEqual(['one']);
      expect(await first.notes()).toEqual(['one']);
      expect(await second.published()).toEqual(['two', 'two, too', 'two, kept']);
      expect(await second.notes()).toEqual(['two', 'two by itself', 'two, kept', 'two, too']);

      await first.app.close();
      await two.write('still there');
      expect(await second.published()).toEqual(['two', 'two, too', 'two, kept', 'still there']);
    } finally {
      await Promise.all([first.dispose(), second.dispose()]);
    }
  });
});

// ---- On a controller, over HTTP --------------------------------------------------------------------------------------

const Role = (role: string): MethodDecorator => SetMetadata('role', role);

@Injectable()
class RoleGuard implements CanActivate {
  constructor(private readonly reflector: Reflector) {}

  canActivate(context: ExecutionContext): boolean {
    const role = this.reflector.get<string | undefined>('role', context.getHandler());
    return context.switchToHttp().getRequest<{ headers: Record<string, string> }>().headers['role'] === role;
  }
}

@Injectable()
class Wrap implements NestInterceptor {
  intercept(_: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(map((note: Note) => ({ wrapped: note.text })));
  }
}

class Shout implements PipeTransform {
  transform(value: unknown): unknown {
    return typeof value === 'object' && value !== null && 'text' in value ? { text: `${String(value.text)}!` } : value;
  }
}

@Controller('notes')
class NotesController {
  constructor(
    @InjectRepository(Note) private readonly notes: Repository<Note>,
    private readonly requestNotes: RequestNotes,
  ) {}

  @Post('below/:times')
  @TransactionalEvent(NoteWritten, (note: Note) => ({ text: note.text }))
  @Role('writer')
  @UseGuards(RoleGuard)
  @UseInterceptors(Wrap)
  @UsePipes(Shout)
  @HttpCode(202)
  async below(@Param('times', ParseIntPipe) times: number, @Body() body: { text: string }): Promise<Note> {
    return this.notes.save({ text: body.text.repeat(times) });
  }

  @TransactionalEvent(NoteWritten, (note: Note) => ({ text: note.text }))
  @Post('above/:times')
  @Role('writer')
  @UseGuards(RoleGuard)
  @UseInterceptors(Wrap)
  @UsePipes(Shout)
  @HttpCode(202)
  async above(@Param('times', ParseIntPipe) times: number, @Body() body: { text: string }): Promise<Note> {
    return this.notes.save({ text: body.text.repeat(times) });
  }

  @Post('request')
  async inRequest(): Promise<void> {
    await this.requestNotes.write();
  }
}

describeEachDatabase('@TransactionalEvent on a controller', (database) => {
  let recording: Recording;

  beforeAll(async () => {
    recording = await Recording.start({ database, providers: [RequestNotes], controllers: [NotesController] });
  });
  beforeEach(() => recording.reset());
  afterAll(() => recording.dispose());

  async function post(path: string, body: object, role = 'writer'): Promise<{ status: number; body: unknown }> {
    const response = await fetch(`${recording.app.url}/notes/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', connection: 'close', role },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : (JSON.parse(text) as unknown) };
  }

  it.each(['below', 'above'])(
    'leaves guards, interceptors, pipes and status as they are, standing %s the others',
    async (path) => {
      expect(await post(`${path}/2`, { text: 'a' })).toEqual({ status: 202, body: { wrapped: 'a!a!' } });
      expect((await post(`${path}/2`, { text: 'a' }, 'reader')).status).toBe(403);
      expect((await post(`${path}/x`, { text: 'a' })).status).toBe(400);
      // The event's own validation fails: the row must not be there.
      expect((await post(`${path}/1`, { text: '\ud800' })).status).toBe(500);
      expect(await recording.notes()).toEqual(['a!a!']);
      await eventually(() =>
        expect(recording.broker.messages('tap').map(({ body }) => JSON.parse(body.toString()) as unknown)).toEqual([
          { text: 'a!a!' },
        ]),
      );
    },
  );

  it('works in request-scoped providers', async () => {
    expect((await post('request', {})).status).toBe(201);
    expect(await recording.stored()).toEqual(['/notes/request']);
    expect(await recording.notes()).toEqual(['in a request']);
  });
});
