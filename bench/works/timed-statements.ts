/** What is timed of the library's own work on its outbox. */
export type Kind = 'claim' | 'settle';

export interface Timed {
  readonly ms: number;
  /** That it claimed or settled. */
  readonly rows: number;
  /** The statement that looks for them. */
  readonly text: string;
  readonly values: unknown[];
}

/** How long the library's claims and settles take, as the database's driver sees them. */
export interface TimedStatements {
  /** Makes the rows with the highest ids due. */
  makeDue(count: number): Promise<void>;
  /** @returns how the server reads the rows, one text for each table that it reads */
  explain(statement: Timed | undefined): Promise<readonly string[]>;
  close(): Promise<void>;
}
