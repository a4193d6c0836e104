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
   * Makes the call, and explains its statements, whose own effects are rolled back if they are run for that.
   * @throws when the call sends none
   */
  async plansOf(
    call: () => Promise<unknown>,
    options: 'FORMAT JSON' | 'ANALYZE, BUFFERS, FORMAT JSON',
  ): Promise<PlanNode[]> {
    this.statements = [];
    await call();
    const statements = [...this.statements];
    if (statements.length === 0) throw new Error('no statement was sent');
    const queryRunner = this.dataSource.createQueryRunner();
    await queryRunner.startTransaction();
    try {
      const plans: PlanNode[] = [];
      for (const { sql, parameters } of statements) {
        const explained = (await queryRunner.query(`EXPLAIN (${options}) ${sql}`, parameters)) as {
          'QUERY PLAN': { Plan: PlanNode }[];
        }[];
        plans.push(explained[0]?.['QUERY PLAN'][0]?.Plan as PlanNode);
      }
      return plans;
    } finally {
      await queryRunner.rollbackTransaction();
      await queryRunner.release();
    }
  }
}
