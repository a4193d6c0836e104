/**
 * Statements of one connection that were begun and are not with `pg` yet: they wait for the connection, or for START TRANSACTION.
 * Nothing that ends a transaction may overtake them, even if nobody awaits them: behind its end they would be committed by
 * themselves.
 */
export class UnsentStatements {
  /** None of them rejects. */
  private readonly turns = new Set<Promise<void>>();

  /** @param work calls `sent` when its statement is with `pg`; when the work has ended, that is taken to be true in any case */
  track<T>(work: (sent: () => void) => Promise<T>): Promise<T> {
    let sent: () => void = () => undefined;
    const turn = new Promise<void>((resolve) => {
      sent = () => {
        this.turns.delete(turn);
        resolve();
      };
    });
    this.turns.add(turn);
    const result = work(sent);
    result.then(sent, sent);
    return result;
  }

  /** Resolves when none is left, also of those that begin meanwhile. */
  async allSent(): Promise<void> {
    while (this.turns.size > 0) await Promise.all(this.turns);
  }
}
