import { type DynamicModule, Injectable, type OnModuleInit } from '@nestjs/common';
import { ScheduleModule, SchedulerRegistry } from '@nestjs/schedule';
import { CompensationTask, type JobRun, MemoryBroker, type ReliableMqOptions } from 'nestjs-reliable-mq';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { eventually } from '../support/eventually';
import { QUICK, TestApp } from '../support/test-app';
import { Note, NoteService, remembering, SERVICE } from './outbox-harness';

const COMPENSATION = 'reliable-mq:compensation';

@Injectable()
class Early implements OnModuleInit {
  runs: readonly JobRun[] = [];

  constructor(private readonly task: CompensationTask) {}

  async onModuleInit(): Promise<void> {
    this.runs = await this.task.run();
  }
}

describe('the compensation task', () => {
  let database: TestDatabase;
  let broker: MemoryBroker;
  let apps: TestApp[];

  beforeEach(async () => {
    database = await createTestDatabase();
    broker = new MemoryBroker();
    broker.declare({ name: 'a.note.free', kind: 'events', bindings: ['note.free'], parkingQueue: 'test.parked' });
    apps = [];
  });
  afterEach(async () => {
    await Promise.all(apps.map((app) => app.close()));
    await database.drop();
  });

  async function start(options: Partial<ReliableMqOptions> = {}, imports: DynamicModule[] = []): Promise<TestApp> {
    const app = await TestApp.start({
      database,
      broker,
      entities: [Note],
      providers: [NoteService, Early],
      imports,
      reliableMq: { ...QUICK, service: SERVICE, ...options },
    });
    apps.push(app);
    return app;
  }

  /** Commits events that nothing but the task can publish. */
  async function recordDue(app: TestApp, count: number): Promise<void> {
    broker.goOffline();
    await app.get(NoteService).recordMany(count);
    await eventually(async () => {
      const free = (await app.outbox()).filter(({ reason }) => reason?.includes('not connected'));
      expect(free).toHaveLength(count);
    });
    broker.goOnline();
  }

  const ran = (runs: readonly JobRun[], name: string): JobRun | undefined => runs.find(({ job }) => job === name);

  describe('with ScheduleModule', () => {
    it('is a cron job that its registry lists, every ten seconds, until the application ends', async () => {
      const app = await start({ compensation: {} }, [ScheduleModule.forRoot()]);
      const registry = app.get(SchedulerRegistry);
      expect([...registry.getCronJobs().keys()]).toEqual([COMPENSATION]);
      expect(registry.getCronJob(COMPENSATION).cronTime.source).toBe('*/10 * * * * *');
      expect(registry.getIntervals()).toEqual(['reliable-mq:prune']);
      await app.close();
      expect(registry.getCronJobs().size).toBe(0);
    });

    it('is an interval when one is asked for, and nothing when it is not enabled', async () => {
      const atInterval = await start({ compensation: { intervalMs: 500 } }, [ScheduleModule.forRoot()]);
      const registry = atInterval.get(SchedulerRegistry);
      expect(registry.getCronJobs().size).toBe(0);
      expect(registry.getIntervals()).toEqual(expect.arrayContaining([COMPENSATION, 'reliable-mq:prune']));

      const none = await start({ compensation: { enabled: false } }, [ScheduleModule.forRoot()]);
      expect(none.get(SchedulerRegistry).getCronJobs().size).toBe(0);
      expect(none.get(SchedulerRegistry).getIntervals()).toEqual([]);
    });
  });

  it('runs at the moments of its cron expression, without ScheduleModule too', async () => {
    const { hooks, told } = remembering('jobStarted');
    await start({ hooks, compensation: { cron: '* * * * * *' } });
    const startsOf = (name: string): number =>
      (told('jobStarted') as { job: string }[]).filter(({ job }) => job === name).length;
    await eventually(() => expect(startsOf('chase')).toBeGreaterThan(2));
    expect(startsOf('prune-outbox')).toBe(1);
  });

  describe('run', () => {
    it('does what is due, and says what it did, where nothing is scheduled', async () => {
      const app = await start({ compensation: { enabled: false } });
      await recordDue(app, 3);
      const runs = await app.get(CompensationTask).run('publish');
      expect(runs).toEqual([
        { job: 'publish', dataSource: 'default', count: 3, durationMs: expect.any(Number) as number },
      ]);
      await eventually(() => expect(broker.messages('a.note.free')).toHaveLength(3));
      const all = await app.get(CompensationTask).run();
      expect(all.map(({ job }) => job)).toEqual([
        'publish',
        'chase',
        'compensate',
        'prune-outbox',
        'retry',
        'prune-inbox',
      ]);
    });

    it('shares the work out among instances that run at once', async () => {
      const options = { compensation: { enabled: false, batchSize: 10 } };
      const [one, other] = [await start(options), await start(options)];
      await recordDue(one, 60);
      const runs = await Promise.all([one, other].map((app) => app.get(CompensationTask).run()));
      expect(runs.map((all) => ran(all, 'publish')?.count ?? 0).reduce((sum, count) => sum + count, 0)).toBe(60);
      await eventually(() => expect(broker.messages('a.note.free')).toHaveLength(60));
    });

    it('waits for a broker that a process has not reached yet', async () => {
      const app = await start({ compensation: { enabled: false } });
      await recordDue(app, 1);
      broker.goOffline();
      const running = app.get(CompensationTask).run('publish');
      broker.goOnline();
      await expect(running).resolves.toMatchObject([{ count: 1 }]);
    });

    it('says why it does nothing before the application has started, and when it ends', async () => {
      const app = await start();
      const early = app.get(Early).runs;
      expect(early).toHaveLength(6);
      for (const run of early) expect(run).toMatchObject({ count: 0, skipped: 'the application has not started' });

      broker.goOffline();
      const waiting = app.get(CompensationTask).run('publish');
      await app.close();
      await expect(waiting).resolves.toMatchObject([{ skipped: 'the application is stopping' }]);
    });

    it('refuses a job that the application does not have', async () => {
      const app = await start();
      await expect(app.get(CompensationTask).run('publich' as 'publish')).rejects.toMatchObject({
        code: 'INVALID_OPTIONS',
        message: 'CompensationTask.run: this application has no job "publich"; did you mean "publish"?',
      });
    });

    it('tells what a job failed at', async () => {
      const app = await start({ compensation: { enabled: false } });
      await app.query('ALTER TABLE reliable_mq_outbox RENAME TO hidden');
      const runs = await app.get(CompensationTask).run();
      expect(ran(runs, 'publish')?.error).toContain('reliable_mq_outbox');
      expect(ran(runs, 'retry')).toMatchObject({ count: 0 });
      await app.query('ALTER TABLE hidden RENAME TO reliable_mq_outbox');
    });
  });
});
