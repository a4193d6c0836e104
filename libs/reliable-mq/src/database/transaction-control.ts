/** Statements that end or undo (a part of) a transaction. */
const CONTROL = /\b(savepoint|rollback|commit|abort|prepare\s+transaction)\b|^\s*end\b/i;
/** TypeORM's own, for its nested transactions. */
const TYPEORM_SAVEPOINT = /^(RELEASE |ROLLBACK TO )?SAVEPOINT typeorm_\d+$/;

/** Whether an application may drive the transaction by this SQL of its own, past TypeORM. */
export function mayControlTransaction(sql: string): boolean {
  return CONTROL.test(sql) && !TYPEORM_SAVEPOINT.test(sql);
}
