import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import type { DataSource } from 'typeorm';
import type { OperationsStore } from '../database/operations.store';
import type { DatabaseName } from '../database/port';
import { type StoreSet, Stores } from '../database/stores';
import { describeError, InvalidSetupError } from '../event/errors';
import { show } from '../input/option-reader';
import { databaseOfUrl, dataSourceAt, openTablesAt } from '../operate/other-database';
import { within } from '../wait/deadline';
import { invalid, unavailable } from './console-problem';
import type { ConsoleDatabase, ResolvedConsoleOptions } from './console-options';
import { CONSOLE_OPTIONS } from './console-tokens';

/** How long an answer waits for one database, in milliseconds. */
const DEADLINE_MS = 10_000;
/** A database that could not be opened is not tried again before, in milliseconds. */
const AGAIN_AFTER_MS = 5000;

/** What the console asks of any database: nothing of it changes one. */
export type ReadOperations = Omit<
  OperationsStore,
  'redrive' | 'retryInbox' | 'discard' | 'archive' | 'sendAgain' | 'replace' | 'pause' | 'resume'
>;

/** The tables of one DataSource of this application, or of another service. */
export interface ConsoleSource {
  readonly name: string;
  readonly database: DatabaseName;
  readonly isOwn: boolean;
  /** Ask it. @throws ConsoleError UNAVAILABLE when there is no answer in time */
  ask<T>(question: (operations: ReadOperations) => Promise<T>, deadlineMs?: number): Promise<T>;
}

/** The databases that the console looks at. */
@Injectable()
export class Sources implements OnApplicationShutdown {
  private readonly others: readonly OtherSource[];
  private found: readonly ConsoleSource[] | undefined;

  constructor(
    @Inject(CONSOLE_OPTIONS) { databases }: ResolvedConsoleOptions,
    private readonly modules: ModuleRef,
  ) {
    this.others = databases.map((each) => new OtherSource(each));
  }

  /** This application's own ones first. @throws InvalidSetupError without ReliableMqModule, or when two have one name */
  get all(): readonly ConsoleSource[] {
    return (this.found ??= this.find());
  }

  /** @throws ConsoleError when there is none of this name */
  byName(name: string | undefined): ConsoleSource {
    const { all } = this;
    const source = name === undefined ? all[0] : all.find((each) => each.name === name);
    if (source) return source;
    throw invalid(`source ${show(name)} is unknown. There are ${all.map((each) => show(each.name)).join(', ')}.`);
  }

  /** Of what changes something. @throws ConsoleError when it is another service's, or none */
  own(name: string | undefined): ConsoleSource {
    const source = this.byName(name);
    if (source.isOwn) return source;
    throw invalid(
      `source ${show(name)} is another service's database, which is only read: act on that service's console.`,
    );
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all(this.others.map((each) => each.close()));
  }

  private find(): readonly ConsoleSource[] {
    const own = this.modules.get(Stores, { strict: false }).all.map((set) => new OwnSource(set));
    const names = own.map(({ name }) => name);
    const taken = this.others.filter(({ name }) => names.includes(name));
    if (taken.length > 0) {
      throw new InvalidSetupError(
        taken.map(
          ({ name }) =>
            `ReliableMqConsoleModule: databases names "${name}", which is a DataSource of this application: give it another name.`,
        ),
      );
    }
    return [...own, ...this.others];
  }
}

class OwnSource implements ConsoleSource {
  readonly isOwn = true;
  readonly name: string;
  readonly database: DatabaseName;

  constructor(private readonly set: StoreSet) {
    this.name = set.name;
    this.database = set.database.kind;
  }

  ask<T>(question: (operations: ReadOperations) => Promise<T>, deadlineMs?: number): Promise<T> {
    return answered(this.name, question(this.set.operations), deadlineMs);
  }
}

/** Opened when it is asked first. It may be away when this application starts, and later. */
class OtherSource implements ConsoleSource {
  readonly isOwn = false;
  readonly name: string;
  readonly database: DatabaseName;
  private opened: Promise<StoreSet> | undefined;
  private failedAtMs: number | undefined;
  private dataSource: DataSource | undefined;
  private isClosed = false;

  constructor(private readonly address: ConsoleDatabase) {
    this.name = address.name;
    this.database = databaseOfUrl(address.url) ?? 'postgres';
  }

  ask<T>(question: (operations: ReadOperations) => Promise<T>, deadlineMs?: number): Promise<T> {
    const asked = this.open().then(({ operations }) => question(operations));
    return answered(this.name, asked, deadlineMs);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    await this.opened?.catch(() => undefined);
    if (this.dataSource?.isInitialized) await this.dataSource.destroy();
  }

  private open(): Promise<StoreSet> {
    const isFailed = this.failedAtMs !== undefined && performance.now() - this.failedAtMs >= AGAIN_AFTER_MS;
    if (this.opened && !isFailed) return this.opened;
    if (this.isClosed) return Promise.reject(new Error('the application stops'));
    this.failedAtMs = undefined;
    const dataSource = (this.dataSource = dataSourceAt(this.address));
    return (this.opened = openTablesAt(this.name, dataSource).catch(async (error: unknown) => {
      this.failedAtMs = performance.now();
      if (dataSource.isInitialized) await dataSource.destroy();
      throw error;
    }));
  }
}

async function answered<T>(name: string, asked: Promise<T>, deadlineMs = DEADLINE_MS): Promise<T> {
  try {
    return await within(deadlineMs, asked, () => new Error(`no answer within ${deadlineMs} ms`));
  } catch (error) {
    throw unavailable(`database "${name}": ${describeError(error, 500)}`);
  }
}
