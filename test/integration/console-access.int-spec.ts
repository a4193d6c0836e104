import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  Injectable,
  Module,
  type NestInterceptor,
  VersioningType,
  ValidationPipe,
} from '@nestjs/common';
import { ReliableMqConsoleModule } from 'nestjs-reliable-mq/console';
import { map } from 'rxjs';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { TestApp } from '../support/test-app';
import { NamedGuard, Person, roleOfName, startConsoleApp, Things } from './console-harness';

interface Refused {
  readonly code: string;
  readonly message: string;
}

const REDRIVE_NOTHING = { operation: 'redrive', source: 'default', ids: [], dryRun: true };

describe.each(['express', 'fastify'] as const)('who may see the console, on %s', (http) => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startConsoleApp({ http, console: { actionsPerMinute: 5 } });
  });
  afterAll(() => app.dispose());

  it('says who it is, and what it looks at', async () => {
    const { status, headers, body } = await new Person(app, 'anna').get('session');
    expect(status).toBe(200);
    expect(body).toEqual({
      role: 'act',
      actor: 'anna',
      csrf: expect.any(String),
      service: 'shop',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      sources: [{ name: 'default', database: 'postgres', isOwn: true }],
    });
    expect(headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
  });

  it('answers nobody whom the guards refuse, whatever is asked for', async () => {
    for (const route of ['', '/console.js', '/api/session', '/api/events', '/api/events/1', '/api/journey?of=a']) {
      const response = await fetch(`${app.url}/reliable-mq${route}`, { headers: { connection: 'close' } });
      expect({ route, status: response.status }).toEqual({ route, status: 403 });
      await response.text();
    }
    for (const route of ['operations', 'runs/1/stop', 'queues/pause', 'queues/resume', 'events/1/edit-and-redrive']) {
      const init = { method: 'POST', body: '{}', headers: { connection: 'close', 'content-type': 'application/json' } };
      const response = await fetch(`${app.url}/reliable-mq/api/${route}`, init);
      expect({ route, status: response.status }).toEqual({ route, status: 403 });
      await response.text();
    }
  });

  it('answers nobody whose role is none', async () => {
    const stranger = new Person(app, 'stranger');
    for (const route of ['session', 'now', 'events', 'journey?of=a', 'queues', 'runs', 'audit', 'failures']) {
      const { status, body } = await stranger.get<Refused>(route);
      expect({ route, status, code: body.code }).toEqual({ route, status: 403, code: 'NOT_ALLOWED' });
    }
    for (const route of ['', '/console.js']) expect((await stranger.page(route)).status).toBe(403);
  });

  it('lets who may only read do nothing', async () => {
    const reader = new Person(app, 'reader');
    const bodies = {
      operations: REDRIVE_NOTHING,
      'queues/pause': { source: 'default', consumer: 'shop', type: 'thing.made' },
      'queues/resume': { source: 'default', consumer: 'shop', type: 'thing.made' },
      'runs/1/stop': {},
      'events/1/edit-and-redrive': { source: 'default', payload: {}, why: 'so' },
    };
    for (const [route, request] of Object.entries(bodies)) {
      const { status, body } = await reader.post<Refused>(route, request);
      expect({ route, status, code: body.code }).toEqual({ route, status: 403, code: 'NOT_ALLOWED' });
    }
  });

  it('lets nobody act without the token of their own session', async () => {
    const bella = new Person(app, 'bella');
    const { body: other } = await new Person(app, 'carl').get<{ csrf: string }>('session');
    const { body: own } = await bella.get<{ csrf: string }>('session');
    for (const csrf of ['', 'x', other.csrf, `${own.csrf}x`, own.csrf.replace('.', '')]) {
      const { status, body } = await bella.post<Refused>('operations', REDRIVE_NOTHING, { 'x-reliable-mq-csrf': csrf });
      expect({ status, code: body.code }).toEqual({ status: 403, code: 'CSRF' });
    }
    expect((await bella.post('operations', REDRIVE_NOTHING)).status).toBe(200);
  });

  it.each<[Record<string, string>]>([
    [{ 'sec-fetch-site': 'cross-site' }],
    [{ 'sec-fetch-site': 'same-site' }],
    [{ origin: 'https://elsewhere.example' }],
    [{ origin: 'null' }],
  ])('gives nothing to the page of another origin: %j', async (headers) => {
    const { status, body } = await new Person(app, 'anna').get<Refused>('session', headers);
    expect({ status, code: body.code }).toEqual({ status: 403, code: 'CSRF' });
  });

  it('answers its own page', async () => {
    const { origin } = new URL(app.url);
    const own: Record<string, string>[] = [
      { 'sec-fetch-site': 'same-origin' },
      { 'sec-fetch-site': 'none' },
      { origin },
    ];
    for (const headers of own) expect((await new Person(app, 'anna').get('session', headers)).status).toBe(200);
  });

  it('lets one person do so much in a minute, and others meanwhile', async () => {
    const dora = new Person(app, 'dora');
    const answers: number[] = [];
    for (let done = 0; done < 6; done += 1) answers.push((await dora.post('operations', REDRIVE_NOTHING)).status);
    expect(answers).toEqual([200, 200, 200, 200, 200, 429]);
    expect((await dora.post<Refused>('operations', REDRIVE_NOTHING)).body.code).toBe('TOO_MANY');
    expect((await new Person(app, 'emil').post('operations', REDRIVE_NOTHING)).status).toBe(200);
  });

  it('has a page, or says that it was not built', async () => {
    const { status, body, headers } = await new Person(app, 'reader').page('');
    expect([200, 503]).toContain(status);
    expect(body).toMatch(/<!doctype html>|npm run build:console/);
    expect(headers.get('cache-control')).toBe('no-store');
    expect((await new Person(app, 'reader').page('/index.php')).status).toBe(404);
  });
});

describe('where and behind what the console is', () => {
  let database: TestDatabase;
  const apps: TestApp[] = [];
  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterEach(async () => {
    for (const app of apps.splice(0)) await app.close();
  });
  afterAll(() => database.drop());

  async function start(options: Parameters<typeof startConsoleApp>[0]): Promise<TestApp> {
    const app = await startConsoleApp({ database, ...options });
    apps.push(app);
    return app;
  }

  it('does not start without guards, and says all that is wrong', async () => {
    await expect(start({ console: { guards: [] } })).rejects.toThrow('ReliableMqConsoleModule: guards is missing.');
    const console = {
      guards: [{} as CanActivate],
      path: 'no slash',
      csrfSecret: 'short',
      rolle: () => 'act',
      databases: [{ name: 'a b', url: 'http://user:secret@host' }],
    };
    const error = await start({ console }).then(
      () => undefined,
      (reason: unknown) => reason as Error,
    );
    expect(error?.message).toContain('guards[0] must be a guard');
    expect(error?.message).toContain('path must be a path');
    expect(error?.message).toContain('csrfSecret must be a text of at least 32 characters');
    expect(error?.message).toContain('Unknown option "rolle"; did you mean "role"?');
    expect(error?.message).toContain('databases[0].name must be a name');
    expect(error?.message).toContain('databases[0].url: "http://user:***@host');
    expect(error?.message).not.toContain('secret@');
  });

  it('without a role everybody who passes the guards may read, and nobody may act', async () => {
    const app = await start({ console: { role: undefined as never } });
    const anna = new Person(app, 'anna');
    expect((await anna.get('session')).body).toMatchObject({ role: 'read', actor: 'anna' });
    expect((await anna.post<Refused>('operations', REDRIVE_NOTHING)).body.code).toBe('NOT_ALLOWED');
  });

  it('what role or actor throws, or says wrongly, lets nobody in', async () => {
    const fails = (): never => {
      throw new Error('no');
    };
    for (const console of [{ role: fails }, { role: () => 'admin' as never }, { actor: fails }, { actor: () => '' }]) {
      const app = await start({ console });
      const { status, body } = await new Person(app, 'anna').get<Refused>('session');
      expect({ status, code: body.code }).toEqual({ status: 403, code: 'NOT_ALLOWED' });
    }
  });

  it.each(['express', 'fastify'] as const)(
    'below a global prefix, beside versions, global pipes and interceptors, on %s',
    async (http) => {
      const wraps: NestInterceptor = { intercept: (_, next) => next.handle().pipe(map((data) => ({ data }))) };
      const app = await start({
        http,
        console: { path: '/ops/mq' },
        onApplication: (application) => {
          application.setGlobalPrefix('v');
          application.enableVersioning({ type: VersioningType.URI, defaultVersion: '1' });
          application.useGlobalPipes(
            new ValidationPipe({ whitelist: true, forbidNonWhitelisted: true, transform: true }),
          );
          application.useGlobalInterceptors(wraps);
        },
      });
      const anna = new Person(app, 'anna', '/v/ops/mq');
      await app.get(Things).make(http);
      expect((await anna.get(`events?key=${http}&limit=1`)).body).toEqual({
        events: [expect.objectContaining({ key: http })],
      });
      expect((await anna.post('operations', REDRIVE_NOTHING)).body).toEqual({ matched: 0, first: [] });
      expect((await new Person(app, 'anna').get('session')).status).toBe(404);
    },
  );

  it('a guard may have dependencies, and be an instance; all of them must agree', async () => {
    @Injectable()
    class Doors {
      isOpen = true;
    }
    @Module({ providers: [Doors], exports: [Doors] })
    class DoorsModule {}
    @Injectable()
    class DoorGuard implements CanActivate {
      constructor(private readonly doors: Doors) {}
      canActivate(): boolean {
        return this.doors.isOpen;
      }
    }
    const late: CanActivate & { isLate: boolean } = {
      isLate: false,
      canActivate(): boolean {
        return !this.isLate;
      },
    };
    const app = await start({ console: { guards: [DoorGuard, NamedGuard, late], imports: [DoorsModule] } as object });
    const anna = new Person(app, 'anna');
    expect((await anna.get('session')).status).toBe(200);
    app.get(Doors).isOpen = false;
    expect((await anna.get('session')).status).toBe(403);
    app.get(Doors).isOpen = true;
    late.isLate = true;
    expect((await anna.get('session')).status).toBe(403);
  });

  it('options may come from a factory, and two instances may share a secret', async () => {
    @Injectable()
    class Settings {
      readonly csrfSecret = 's'.repeat(32);
    }
    @Module({ providers: [Settings], exports: [Settings] })
    class SettingsModule {}
    const module = () =>
      ReliableMqConsoleModule.forRootAsync({
        path: '/mq',
        guards: [NamedGuard],
        imports: [SettingsModule],
        inject: [Settings],
        useFactory: ({ csrfSecret }: Settings) => ({ role: roleOfName, csrfSecret }),
      });
    const [one, two] = [await start({ imports: [module()] }), await start({ imports: [module()] })];
    const { body } = await new Person(one, 'anna', '/mq').get<{ csrf: string }>('session');
    const onTwo = new Person(two, 'anna', '/mq');
    const { status } = await onTwo.post('operations', REDRIVE_NOTHING, { 'x-reliable-mq-csrf': body.csrf });
    expect(status).toBe(200);
    const other = await new Person(one, 'anna').post('operations', REDRIVE_NOTHING, {
      'x-reliable-mq-csrf': body.csrf,
    });
    expect(other.status).toBe(403);
  });

  it('the application stays as it is beside it', async () => {
    @Controller('things')
    class ThingsController {
      @Get()
      all(context?: ExecutionContext): readonly string[] {
        return context ? [] : ['a'];
      }
    }
    @Module({ controllers: [ThingsController] })
    class ThingsModule {}
    const app = await start({ imports: [ThingsModule] });
    const response = await fetch(`${app.url}/things`, { headers: { connection: 'close' } });
    expect({ status: response.status, body: await response.json() }).toEqual({ status: 200, body: ['a'] });
  });
});
