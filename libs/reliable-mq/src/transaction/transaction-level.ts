import { TransactionBusyError, TransactionEndedError } from '../event/errors';
import type { CommittedEvent } from './committed-event';

/** How long a statement, or a nested transaction, waits for a nested transaction beside it, in milliseconds. */
const TURN_DEADLINE_MS = 10_000;

/** A statement, or a nested transaction, that waits until it may begin. */
interface Turn {
  readonly nested: TransactionLevel | undefined;
  readonly timer: NodeJS.Timeout;
  begin(): void;
  refuse(error: Error): void;
}

/** A function that has joined a transaction: its statements and events belong together. */
export interface JoinedFunction {
  isRunning: boolean;
}

/**
 * One transaction of a query runner, or one savepoint in it: what was begun in it and has not settled, and the events that it has
 * recorded. It is open until its end is decided; from then on nothing begins in it, except what functions do that had joined it before a
 * commit was decided: half of their work must not be committed.
 *
 * A savepoint is the connection's, and whatever is sent while it is open is undone with it. So statements of a level wait while
 * another branch's nested transaction is open in it, and a nested transaction waits for the statements that are under way.
 */
export class TransactionLevel {
  readonly events: CommittedEvent[] = [];
  /** Why an event that was being recorded when the end was decided could not be. */
  failure: { readonly error: unknown } | undefined;
  private state: 'open' | 'committing' | 'rolling back' | 'ended' = 'open';
  private nested: TransactionLevel | undefined;
  /** Functions that have joined and not settled. */
  private joined = 0;
  /** Statements and recordings that were begun and have not settled. */
  private unsettled = 0;
  /** Statements among it that are with the connection. */
  private running = 0;
  private readonly turns: Turn[] = [];
  private readonly waiting: (() => void)[] = [];
  private isEnding = false;

  /**
   * @param outer the level that the savepoint is in
   * @param isByHand begun by `queryRunner.startTransaction()`, and not by a call that has the transaction's function
   */
  constructor(
    readonly outer: TransactionLevel | undefined,
    readonly isByHand: boolean,
  ) {}

  /** The nested transaction that is open in it. */
  get inner(): TransactionLevel | undefined {
    return this.nested;
  }

  get isOpen(): boolean {
    return this.state === 'open';
  }

  get hasEnded(): boolean {
    return this.state === 'ended';
  }

  /** @returns when no end of it is under way any more; undefined: none is */
  endingSettled(): Promise<void> | undefined {
    return this.isEnding ? this.until(() => !this.isEnding) : undefined;
  }

  /** An end of it is under way, or over. */
  setEnding(isUnderWay: boolean): void {
    this.isEnding = isUnderWay;
    if (!isUnderWay) this.wake();
  }

  /** The level that a statement of this call chain belongs to: nested transactions that it has begun by hand have no function to tell. */
  get innermostByHand(): TransactionLevel {
    return this.nested?.isByHand ? this.nested.innermostByHand : this;
  }

  /**
   * @param what is begun, for the message
   * @param by the function that begins it, if that has joined
   * @throws TransactionEndedError
   */
  assertOpen(what: string, by?: JoinedFunction): void {
    if (!this.takes(by)) throw new TransactionEndedError(what);
  }

  /** Whether something may begin in it. */
  takes(by?: JoinedFunction): boolean {
    return this.isOpen || (this.state === 'committing' && (by?.isRunning ?? false));
  }

  /** Nothing begins from here on; in the levels nested in it neither, unless they may belong to a function that a commit waits for. */
  decideEnd(how: 'commit' | 'rollback'): void {
    if (this.state === 'ended') return;
    this.state = how === 'commit' ? 'committing' : 'rolling back';
    if (how === 'rollback' || this.joined === 0) this.decideEndOfNested();
  }

  /** What is nested can be ended: no function that has joined is left to end it. */
  decideEndOfNested(): void {
    this.nested?.decideEnd('rollback');
    for (const turn of this.turns.filter(({ nested }) => nested)) {
      this.takeBack(turn);
      turn.refuse(new TransactionEndedError('A nested transaction was begun'));
    }
  }

  /** Its events are kept by the level around it, or by nobody. */
  conclude(isKept: boolean): void {
    this.state = 'ended';
    if (isKept) this.outer?.events.push(...this.events);
    this.events.length = 0;
  }

  /** A commit waits for functions that have joined before it. */
  async joinWith<T>(joining: JoinedFunction, work: () => Promise<T> | T): Promise<T> {
    this.joined += 1;
    try {
      return await work();
    } catch (error) {
      if (!this.isOpen) this.failure ??= { error };
      throw error;
    } finally {
      joining.isRunning = false;
      this.joined -= 1;
      if (this.joined === 0) this.wake();
    }
  }

  /** The end waits for work that was begun before it. */
  track<T>(work: Promise<T>): Promise<T> {
    this.unsettled += 1;
    work.then(this.onSettled, this.onSettled);
    return work;
  }

  /** The same for an event that is being recorded; if that fails while the end waits for it, a commit fails too. */
  trackRecording<T>(work: Promise<T>): Promise<T> {
    this.unsettled += 1;
    work.then(this.onSettled, (error: unknown) => {
      if (!this.isOpen) this.failure ??= { error };
      this.onSettled();
    });
    return work;
  }

  /** Send a statement, when no nested transaction of another branch is open. */
  run<T>(statement: () => Promise<T>): Promise<T> {
    if (this.nested || this.turns.length > 0) return this.track(this.runInTurn(statement));
    this.unsettled += 1;
    this.running += 1;
    const work = statement();
    work.then(this.onAnswered, this.onAnswered);
    return work;
  }

  /** @returns when the nested transaction may begin; undefined: now */
  nest(level: TransactionLevel): Promise<void> | undefined {
    if (this.nested || this.turns.length > 0 || this.running > 0) return this.turn(level);
    this.nested = level;
    return undefined;
  }

  /** The nested transaction is over. */
  unnest(level: TransactionLevel): void {
    if (this.nested !== level) return;
    this.nested = undefined;
    this.next();
  }

  /** @returns when every function that has joined has settled; undefined: now */
  joinedSettled(): Promise<void> | undefined {
    return this.joined > 0 ? this.until(() => this.joined === 0) : undefined;
  }

  /** @returns when every statement and recording that was begun has settled; undefined: now */
  settled(): Promise<void> | undefined {
    return this.unsettled > 0 ? this.until(() => this.unsettled === 0) : undefined;
  }

  private async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  private wake(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  private async runInTurn<T>(statement: () => Promise<T>): Promise<T> {
    await this.turn(undefined);
    try {
      return await statement();
    } finally {
      this.running -= 1;
      this.next();
    }
  }

  private turn(nested: TransactionLevel | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.takeBack(turn);
        reject(new TransactionBusyError(TURN_DEADLINE_MS));
      }, TURN_DEADLINE_MS);
      const turn: Turn = { nested, timer, begin: resolve, refuse: reject };
      this.turns.push(turn);
    });
  }

  private takeBack(turn: Turn): void {
    clearTimeout(turn.timer);
    this.turns.splice(this.turns.indexOf(turn), 1);
    this.next();
  }

  /** In the order in which they came, so that none waits for ever. */
  private next(): void {
    for (let turn = this.turns[0]; turn && !this.nested; turn = this.turns[0]) {
      if (turn.nested && this.running > 0) return;
      this.turns.shift();
      clearTimeout(turn.timer);
      if (turn.nested) this.nested = turn.nested;
      else this.running += 1;
      turn.begin();
    }
  }

  private readonly onSettled = (): void => {
    this.unsettled -= 1;
    if (this.unsettled === 0) this.wake();
  };

  private readonly onAnswered = (): void => {
    this.running -= 1;
    if (this.turns.length > 0) this.next();
    this.onSettled();
  };
}
