import { AsyncLocalStorage } from 'node:async_hooks';
import type { DataSource, QueryRunner } from 'typeorm';
import type { Cause } from '../event/cause';
import type { JoinedFunction, TransactionLevel } from './transaction-level';

/** A transaction that a call chain is in. */
export interface Frame {
  readonly dataSource: DataSource;
  readonly queryRunner: QueryRunner;
  readonly level: TransactionLevel;
  /** Whether repositories take part, because this library has opened or joined the transaction. */
  readonly isJoined: boolean;
  /**
   * Of a transaction that they take part in by way of another library: whether that still shows it to the transaction's function. It
   * forgets the transaction when the function has settled, and whoever goes on would get a connection of their own.
   */
  isShown?: () => boolean;
  /**
   * What runs here: the transaction's function, the end of the level with TypeORM's subscribers, or a statement that was begun before
   * the end was decided.
   */
  readonly runs: 'function' | 'end' | 'begun';
  /** The function, if it has joined a transaction that was open. */
  readonly joining?: JoinedFunction | undefined;
  readonly outer: Frame | undefined;
  /** The events that are handled, or compensated, in it. */
  readonly causes?: readonly Cause[] | undefined;
}

/** Which transactions the present asynchronous call chain is in, the innermost first. */
export class CallChain {
  private readonly frames = new AsyncLocalStorage<Frame | undefined>();

  get innermost(): Frame | undefined {
    return this.frames.getStore();
  }

  onDataSource(dataSource: DataSource): Frame | undefined {
    let frame = this.frames.getStore();
    while (frame && frame.dataSource !== dataSource) frame = frame.outer;
    return frame;
  }

  onQueryRunner(queryRunner: QueryRunner): Frame | undefined {
    let frame = this.frames.getStore();
    while (frame && frame.queryRunner !== queryRunner) frame = frame.outer;
    return frame;
  }

  /** The events that are handled here, in whatever transaction within. */
  causes(): readonly Cause[] {
    let frame = this.frames.getStore();
    while (frame && !frame.causes) frame = frame.outer;
    return frame?.causes ?? [];
  }

  /** @param frame undefined: in no transaction */
  run<T>(frame: Frame | undefined, work: () => T): T {
    return this.frames.run(frame, work);
  }
}
