import type { DataSource } from 'typeorm';

export interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Index Cond'?: string;
  readonly Filter?: string;
  /** With BUFFERS: pages that this node and those below it have read, of memory and of the disk. */
  readonly 'Shared Hit Blocks'?: number;
  readonly 'Shared Read Blocks'?: number;
  readonly Plans?: readonly PlanNode[];
}

/** What PostgreSQL makes of the statements that a call sends. */
export class ExplainedStatements {
  private statements: { readonly sql: string; readonly parameters: unknown[] }[] = [];

  constructor(private readonly dataSource: DataSource) {
    dataSource.subscribers.push({
      beforeQuery: ({ query, parameters }) =>
        void this.statements.push({ sql: query, parameters: (parameters ?? []) as unknown[] }),
    });
  }

  /**
   * Makes the call, and explains its statement, whose own effects are rolled back if it is run for that.
   * @throws when the call sends not exactly one statement
   */
  async planOf(
    call: () => Promise<unknown>,
    options: 'FORMAT JSON' | 'ANALYZE, BUFFERS, FORMAT JSON',
  ): Promise<PlanNode> {
    this.statements = [];
    await call();
    const [statement, ...others] = this.statements;
    if (!statement || others.length > 0) throw new Error(`${this.statements.length} statements instead of one`);
    const queryRunner = this.dataSource.createQueryRunner();
    await queryRunner.startTransaction();
    try {
      const explained = (await queryRunner.query(`EXPLAIN (${options}) ${statement.sql}`, statement.parameters)) as {
        'QUERY PLAN': { Plan: PlanNode }[];
      }[];
      return explained[0]?.['QUERY PLAN'][0]?.Plan as PlanNode;
    } finally {
      await queryRunner.rollbackTransaction();
      await queryRunner.release();
    }
  }
}
