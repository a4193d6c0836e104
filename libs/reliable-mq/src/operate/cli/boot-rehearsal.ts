import { resolve } from 'node:path';
import {
  type DynamicModule,
  type INestApplicationContext,
  Injectable,
  Module,
  type OnModuleInit,
  type Type,
} from '@nestjs/common';
import { MODULE_METADATA } from '@nestjs/common/constants.js';
import { ModuleRef, NestFactory } from '@nestjs/core';
import { SchedulerRegistry } from '@nestjs/schedule';
import type { CronJob } from 'cron';
import { REHEARSALS, REHEARSING, type Rehearsals } from '../rehearsals';
import { UsageError } from './command';

const NOTHING = (): void => undefined;

/** Stops what the application schedules before it can begin: of a scheduled job nothing runs before the next turn of the event loop. */
@Injectable()
class SilentScheduler implements OnModuleInit {
  constructor(private readonly modules: ModuleRef) {}

  onModuleInit(): void {
    const registry = this.find();
    if (!registry) return;
    const addCronJob = registry.addCronJob.bind(registry);
    const addInterval = registry.addInterval.bind(registry);
    const addTimeout = registry.addTimeout.bind(registry);
    registry.addCronJob = (name, job) => addCronJob(name, silenced(job));
    registry.addInterval = (name, id) => {
      clearInterval(id as NodeJS.Timeout);
      addInterval(name, id);
    };
    registry.addTimeout = (name, id) => {
      clearTimeout(id as NodeJS.Timeout);
      addTimeout(name, id);
    };
    for (const job of registry.getCronJobs().values()) silenced(job);
    for (const name of registry.getIntervals()) clearInterval(registry.getInterval(name) as NodeJS.Timeout);
    for (const name of registry.getTimeouts()) clearTimeout(registry.getTimeout(name) as NodeJS.Timeout);
  }

  /** Applications without ScheduleModule have none. */
  private find(): SchedulerRegistry | undefined {
    try {
      return this.modules.get(SchedulerRegistry, { strict: false });
    } catch {
      return undefined;
    }
  }
}

function silenced<Job extends Pick<CronJob, 'start' | 'stop'>>(job: Job): Job {
  void job.stop();
  job.start = NOTHING;
  return job;
}

/** An application that handles nothing by itself, and what runs its handlers. */
export interface BootedApplication {
  readonly rehearsals: Rehearsals;
  close(): Promise<void>;
}

/**
 * Starts the application's module without its HTTP server, and without what this library consumes, publishes and repairs.
 * @param path of the file that has the module; behind a `#` the name of its class, where the file has several
 * @throws UsageError when there is no such module; what the application throws when it does not start
 */
export async function bootRehearsal(path: string): Promise<BootedApplication> {
  const module = await moduleAt(path);
  const context = await NestFactory.createApplicationContext(root(module), { abortOnError: false });
  const rehearsals = rehearsalsOf(context);
  if (!rehearsals) {
    await context.close();
    throw new UsageError(`${path} has no ReliableMqModule that handles events`);
  }
  return { rehearsals, close: () => context.close() };
}

/** Its export is global, and so reaches the library's module, wherever the application imports that. */
function root(application: Type): DynamicModule {
  @Module({})
  class Rehearsal {}
  @Module({})
  class Application {}
  return {
    module: Application,
    imports: [
      {
        module: Rehearsal,
        global: true,
        providers: [{ provide: REHEARSING, useValue: true }, SilentScheduler],
        exports: [REHEARSING],
      },
      application,
    ],
  };
}

function rehearsalsOf(context: INestApplicationContext): Rehearsals | undefined {
  try {
    return context.get<Rehearsals>(REHEARSALS, { strict: false });
  } catch {
    return undefined;
  }
}

async function moduleAt(path: string): Promise<Type> {
  const [file = '', name] = path.split('#');
  const exported = (await import(resolve(file))) as Readonly<Record<string, unknown>>;
  const named = name === undefined ? undefined : exported[name];
  if (typeof named === 'function') return named as Type;
  const classes = Object.entries(exported).filter(([, value]) => isModule(value)) as [string, Type][];
  const chosen = name === undefined ? classes : [];
  const [first, ...more] = [...new Set(chosen.map(([, value]) => value))];
  if (first && more.length === 0) return first;
  const names = classes.map(([own]) => own).join(', ');
  throw new UsageError(
    classes.length === 0
      ? `${file} exports no class with @Module`
      : `${file} exports ${names}: say which one, as in --module ${file}#${classes[0]?.[0] ?? ''}`,
  );
}

function isModule(value: unknown): boolean {
  return (
    typeof value === 'function' &&
    Object.values(MODULE_METADATA).some((key) => Reflect.hasMetadata(key as string, value))
  );
}
