import type { DataSource, QueryRunner } from 'typeorm';
import { dataSourceOf } from '../database/data-source-of';
import type { DatabasePort } from '../database/port';
import { depthOf } from '../database/transaction-depth';
import { ImplicitCommitError, TransactionAbortedError, TransactionEndedError } from '../event/errors';
import type { CallChain, Frame } from './call-chain';
import type { Commit } from './committed-event';
import type { IsolationLevel } from './isolation-level';
import { TransactionLevel } from './transaction-level';

type Query = QueryRunner['query'];
type Stream = QueryRunner['stream'];

/** What TypeORM sends to end a transaction or a savepoint. */
const END = /^(COMMIT|ROLLBACK|(RELEASE|ROLLBACK TO) SAVEPOINT typeorm_\d+)$/;
const KEEPS = /^(COMMIT|RELEASE )/;
/** TypeORM's own, of a savepoint. */
const TYPEORM_SAVEPOINT = /^((RELEASE|ROLLBACK TO) )?SAVEPOINT typeorm_\d+$/;
const GUARD = Symbol('ReliableMq.QueryRunnerGuard');

type Guarded = QueryRunner & { [GUARD]?: QueryRunnerGuard };

/** The guard of a query runner, if it has one. */
export function guardIn(queryRunner: QueryRunner): QueryRunnerGuard | undefined {
  return (queryRunner as Guarded)[GUARD];
}

/** What a guard needs of those around it. */
export interface Guarding {
  readonly chain: CallChain;
  readonly database: DatabasePort;
  /** A transaction is about to begin. */
  onStart(): void;
  onCommit(commit: Commit): void;
}

/**
 * Keeps what is begun in a query runner's transaction inside of it, whatever runs in parallel. A statement belongs to the level
 * (transaction or savepoint) whose function its call chain is in, or to the innermost one where there is no function to tell. When a level's end is decided nothing begins in
 * it any more; the end waits for what was begun before, and ends what is nested in it first. So no statement and no event can be
 * sent behind a COMMIT or ROLLBACK, where it would be committed by itself.
 *
 * The methods are own properties of the one query runner; no prototype is changed. TypeORM's do the work. Left to themselves they count
 * depths: of two nested transactions side by side each ends the other's savepoint, and a rollback of the outer one while a nested one
 * is open undoes only that (TypeORM 0.3 and 1.1).
 */
export class QueryRunnerGuard {
  /** Open levels, the outermost first. */
  private readonly levels: TransactionLevel[] = [];
  readonly dataSource: DataSource;
  /** Whether this library opens its transactions, and gives it back. */
  isOwn = false;
  private readonly typeorm: Pick<
    QueryRunner,
    'query' | 'stream' | 'startTransaction' | 'commitTransaction' | 'rollbackTransaction' | 'release'
  >;
  private isGuarding = false;
  /** The application drove savepoints by SQL of its own, so only the table knows which rows are left. */
  private isDoubtful = false;
  private isAnsweredByRollback = false;
  /** The application ended the transaction past TypeORM: the COMMIT looks fine, and commits nothing. */
  private isLost = false;
  /** Whether this library has a part in the open transaction: it has opened it, or a recording or a function has joined it. */
  private isShared = false;
  /** Whether it must not be committed before its end: it has the inbox row of what is handled. */
  private isHandling = false;
  /** A statement of the application has committed it. */
  private committedBy: string | undefined;

  constructor(
    readonly queryRunner: QueryRunner,
    private readonly guarding: Guarding,
  ) {
    this.dataSource = dataSourceOf(queryRunner);
    // eslint-disable-next-line @typescript-eslint/unbound-method -- each is called with the query runner as `this`
    const { query, stream, startTransaction, commitTransaction, rollbackTransaction, release } = queryRunner;
    this.typeorm = { query, stream, startTransaction, commitTransaction, rollbackTransaction, release };
    (queryRunner as Guarded)[GUARD] = this;
    queryRunner.startTransaction = (isolation) => this.startByHand(isolation);
    if (queryRunner.isTransactionActive) this.adopt(depthOf(queryRunner));
  }

  /** Run what was begun before the end of its level was decided. */
  runBegun<T>(level: TransactionLevel, work: () => T): T {
    return this.inFrame(level, 'begun', work);
  }

  /**
   * The level that something which is begun now belongs to.
   * @param what is begun, for the message
   * @returns undefined when no transaction is open
   * @throws TransactionEndedError when that level's end has been decided
   */
  present(what: string): TransactionLevel | undefined {
    const frame = this.guarding.chain.onQueryRunner(this.queryRunner);
    if (frame) return this.levelIn(frame, what);
    // Without a function to tell: one that is driven by hand, or a call chain that something has torn off its function.
    const level = this.levels[0]?.isByHand ? this.levels[0].innermostByHand : this.levels.at(-1);
    level?.assertOpen(what);
    if (level) this.assertAlive(what);
    return level;
  }

  /** The same for a call chain that is in a frame of this query runner. */
  levelIn({ level, runs, joining }: Frame, what: string): TransactionLevel {
    if (runs === 'function') level.assertOpen(what, joining);
    const innermost = level.innermostByHand;
    if (innermost !== level) innermost.assertOpen(what);
    this.assertAlive(what);
    return innermost;
  }

  /** A recording, or a function, joins the open transaction: from now on nothing may be begun in it that would be committed by itself. */
  share(): void {
    this.isShared = true;
  }

  /** An event is handled, or compensated, in the open transaction. */
  handle(): void {
    this.isHandling = true;
  }

  /**
   * Some servers roll a transaction back whole, as at a deadlock, or commit it, as at DDL, and take what follows as if there had been none: each
   * statement by itself. Where this library has no part in it, as in migrations, what follows a commit is the application's.
   * @param what is begun, for the message
   */
  assertAlive(what: string): void {
    const cause = this.guarding.database.rolledBackBy(this.queryRunner);
    if (cause !== undefined) throw new TransactionAbortedError('the database has rolled it back already', { cause });
    if (this.isShared && this.hasBeenCommitted()) throw new TransactionEndedError(what, this.committedBy);
  }

  /** What it has committed is handed over, whatever becomes of what is left. */
  private hasBeenCommitted(): boolean {
    this.committedBy ??= this.guarding.database.committedBy(this.queryRunner);
    if (this.committedBy === undefined) return false;
    this.isDoubtful = true;
    this.handOver();
    return true;
  }

  /** The events of all levels, whose transaction has been committed. */
  private handOver(): void {
    const events = this.levels.flatMap((each) => each.events.splice(0));
    if (events.length === 0) return;
    this.guarding.onCommit({ dataSource: this.dataSource, events, doubtful: this.isDoubtful });
  }

  /** Opens a transaction, or a savepoint in the level that is given. */
  async open(
    outer: TransactionLevel | undefined,
    isolation: IsolationLevel | undefined,
    isByHand = false,
  ): Promise<TransactionLevel> {
    this.guard();
    const level = new TransactionLevel(outer, isByHand);
    if (outer) await this.nest(outer, level);
    else {
      this.guarding.onStart();
      this.isDoubtful = false;
      this.isAnsweredByRollback = false;
      this.isLost = false;
      this.isShared = this.isOwn;
      this.isHandling = false;
      this.committedBy = undefined;
    }
    this.levels.push(level);
    const start = (): Promise<void> => this.typeorm.startTransaction.call(this.queryRunner, isolation);
    try {
      if (outer) await level.track(this.inFrame(level, 'function', start));
      // Nobody else can end it before it has begun, unless it is driven by hand.
      else await (isByHand ? level.track(start()) : start());
      return level;
    } catch (error) {
      this.leave(level);
      if (!outer && !isByHand) await this.undoStart();
      throw error;
    }
  }

  /**
   * Ends a level, and before it what is nested in it and still open.
   * @throws TransactionEndedError for a commit of what has ended otherwise
   */
  async end(level: TransactionLevel, how: 'commit' | 'rollback'): Promise<void> {
    level.decideEnd(how);
    for (let ending = level.endingSettled(); ending; ending = level.endingSettled()) await ending;
    if (level.hasEnded) {
      if (how === 'commit') throw new TransactionEndedError('A commit was asked for');
      return;
    }
    level.setEnding(true);
    try {
      const unfinished = this.unfinished(level, how);
      if (unfinished) await unfinished;
      if (!this.levels.includes(level)) {
        // It waited for its turn, or could not be begun.
        level.conclude(false);
        return level.outer?.unnest(level);
      }
      const isCommitted = this.hasBeenCommitted();
      if (how === 'commit') {
        if (level.failure) throw level.failure.error;
        if (!isCommitted) this.assertAlive('A commit was asked for');
        if (!level.outer && level.events.length > 0) {
          const isLost = this.guarding.database.hasLostTransaction(this.queryRunner);
          this.isLost = isLost instanceof Promise ? await isLost : isLost;
          if (this.isLost) this.isDoubtful = true;
        }
      }
      const { commitTransaction, rollbackTransaction } = this.typeorm;
      try {
        await this.inFrame(level, 'end', () =>
          (how === 'commit' ? commitTransaction : rollbackTransaction).call(this.queryRunner),
        );
      } finally {
        // A commit that failed is followed by a rollback.
        if (how === 'rollback' || level.hasEnded) this.leave(level);
      }
    } finally {
      level.setEnding(false);
    }
  }

  /**
   * To be asked when a commit is over.
   * @throws TransactionAbortedError when the database answered with a rollback, because a statement had failed
   */
  assertCommitted(): void {
    if (this.isAnsweredByRollback) throw new TransactionAbortedError();
    if (this.committedBy !== undefined) throw new TransactionEndedError('A commit was asked for', this.committedBy);
    if (this.isLost) throw new Error('the transaction was ended by SQL of the application');
  }

  /** Rolls back what is open. A connection whose transaction can't be ended is not given back to the pool. */
  async rollBack(level: TransactionLevel): Promise<void> {
    try {
      await this.end(level, 'rollback');
    } catch (error) {
      await this.guarding.database.discard(this.queryRunner, error as Error);
    }
  }

  /**
   * Two things that TypeORM does not see: a database may answer COMMIT with a rollback, and no error, when a statement of the
   * transaction had failed; and applications may end it, or undo a part of it, by SQL of their own.
   */
  watch(query: string, rawResults: unknown): void {
    if (query === 'COMMIT') {
      this.isAnsweredByRollback = this.guarding.database.isRollback(rawResults);
    } else if (!this.isDoubtful && this.levels.some(({ events }) => events.length > 0)) {
      this.isDoubtful = this.guarding.database.mayEndTransaction(query) && !TYPEORM_SAVEPOINT.test(query);
      if (this.isDoubtful) this.hasBeenCommitted();
    }
  }

  /** START TRANSACTION may have worked, and what follows it not. */
  private async undoStart(): Promise<void> {
    const { queryRunner } = this;
    if (!queryRunner.isTransactionActive || queryRunner.isReleased) return;
    try {
      await this.typeorm.rollbackTransaction.call(queryRunner);
    } catch (error) {
      await this.guarding.database.discard(queryRunner, error as Error);
    }
  }

  private async nest(outer: TransactionLevel, level: TransactionLevel): Promise<void> {
    const turn = outer.nest(level);
    if (turn) await turn;
    if (level.isOpen) return;
    outer.unnest(level);
    throw new TransactionEndedError('A nested transaction was begun');
  }

  /** Of a query runner that was made, and given transactions, before its DataSource was followed. */
  private adopt(depth: number): void {
    this.guard();
    for (let outer = this.levels.at(-1); this.levels.length < depth; outer = this.levels.at(-1)) {
      const level = new TransactionLevel(outer, true);
      void outer?.nest(level);
      this.levels.push(level);
    }
  }

  private guard(): void {
    if (this.isGuarding) return;
    this.isGuarding = true;
    const { queryRunner } = this;
    queryRunner.query = ((...args: Parameters<Query>) => this.query(args)) as Query;
    queryRunner.stream = async (...args: Parameters<Stream>) => this.stream(args);
    queryRunner.commitTransaction = () => this.endByHand('commit');
    queryRunner.rollbackTransaction = () => this.endByHand('rollback');
    queryRunner.release = () => this.release();
  }

  private query(args: Parameters<Query>): Promise<unknown> {
    const frame = this.guarding.chain.onQueryRunner(this.queryRunner);
    const send = (): Promise<unknown> => this.typeorm.query.apply(this.queryRunner, args);
    if (frame?.runs === 'begun') return send();
    if (frame?.runs === 'end' && END.test(args[0])) return this.sendEnd(frame.level, args[0], send);
    let level: TransactionLevel | undefined;
    try {
      level = frame ? this.levelIn(frame, 'A statement was begun') : this.present('A statement was begun');
    } catch (error) {
      return Promise.reject(error as Error);
    }
    if (this.isHandling && this.guarding.database.commitsImplicitly(args[0])) {
      return Promise.reject(new ImplicitCommitError(args[0]));
    }
    return level ? level.run(send) : send();
  }

  private stream(args: Parameters<Stream>): ReturnType<Stream> {
    const send = (): ReturnType<Stream> => this.typeorm.stream.apply(this.queryRunner, args);
    const level = this.present('A statement was begun');
    return level ? level.run(send) : send();
  }

  /** TypeORM's subscribers may have begun something before the end that nobody awaits. */
  private sendEnd(level: TransactionLevel, sql: string, send: () => Promise<unknown>): Promise<unknown> {
    const unsettled = level.settled();
    // A savepoint is gone with the transaction that it was in.
    const isGone = this.committedBy !== undefined && TYPEORM_SAVEPOINT.test(sql);
    const sent = isGone ? Promise.resolve(undefined) : unsettled ? unsettled.then(send) : send();
    return sent.then((result) => {
      this.onEnded(level, sql);
      return result;
    });
  }

  private onEnded(level: TransactionLevel, sql: string): void {
    const isKept = KEEPS.test(sql) && !(sql === 'COMMIT' && this.isAnsweredByRollback);
    if (sql !== 'COMMIT') return level.conclude(isKept);
    // Savepoints that are still open end with it.
    if (isKept) this.handOver();
    for (const each of this.levels) each.conclude(false);
  }

  /** @returns when what an end waits for is over, and what is nested has ended; undefined: now */
  private unfinished(level: TransactionLevel, how: 'commit' | 'rollback'): Promise<void> | undefined {
    const joined = how === 'commit' ? level.joinedSettled() : undefined;
    if (joined || level.inner) return this.finish(level, how, joined);
    return level.settled();
  }

  private async finish(
    level: TransactionLevel,
    how: 'commit' | 'rollback',
    joined: Promise<void> | undefined,
  ): Promise<void> {
    if (how === 'commit') {
      if (joined) await joined;
      level.decideEndOfNested();
    }
    for (let { inner } = level; inner; inner = level.inner) {
      if (how === 'commit' && inner.isByHand && !level.isByHand) {
        throw new TransactionAbortedError('a nested transaction was left open');
      }
      await this.end(inner, 'rollback');
    }
    const unsettled = level.settled();
    if (unsettled) await unsettled;
  }

  private leave(level: TransactionLevel): void {
    const from = this.levels.findIndex((each) => each === level || each.hasEnded);
    if (from < 0) return;
    for (const each of this.levels.splice(from).reverse()) {
      if (!each.hasEnded) each.conclude(false);
      each.outer?.unnest(each);
    }
  }

  private async startByHand(isolation: IsolationLevel | undefined): Promise<void> {
    await this.open(this.present('A transaction was begun'), isolation, true);
  }

  private async endByHand(how: 'commit' | 'rollback'): Promise<void> {
    const level = this.levelToEnd();
    if (level) await this.end(level, how);
    else await this.typeorm[how === 'commit' ? 'commitTransaction' : 'rollbackTransaction'].call(this.queryRunner);
  }

  /** The innermost level that this call chain has begun by hand, or its function's. */
  private levelToEnd(): TransactionLevel | undefined {
    const frame = this.guarding.chain.onQueryRunner(this.queryRunner);
    const from = frame ? this.levels.indexOf(frame.level) + 1 : 0;
    return this.levels.slice(from).findLast(({ isByHand }) => isByHand) ?? frame?.level ?? this.levels.at(-1);
  }

  /** With a transaction open, the next one to get the connection would go on in it. */
  private release(): Promise<void> {
    const [outermost] = this.levels;
    const release = (): Promise<void> => this.typeorm.release.call(this.queryRunner);
    return outermost && !this.queryRunner.isReleased ? this.rollBack(outermost).then(release) : release();
  }

  private inFrame<T>(level: TransactionLevel, runs: Frame['runs'], work: () => T): T {
    const { chain } = this.guarding;
    const outer = chain.innermost;
    const isJoined = chain.onQueryRunner(this.queryRunner)?.isJoined ?? false;
    const { dataSource, queryRunner } = this;
    return chain.run({ dataSource, queryRunner, level, isJoined, runs, outer }, work);
  }
}
