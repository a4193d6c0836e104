/**
 * Statements of one connection that were begun and are not with `pg` yet: they wait for the connection, or for START TRANSACTION.
 * Nothing that ends a transaction may overtake them, even if nobody awaits them: behind its end they would be committed by
 * themselves.
 */
export class UnsentStatements {
  private count = 0;
  private readonly waiting: (() => void)[] = [];

  /** @param work calls `sent` when its statement is with `pg`; when the work has ended, that is taken to be true in any case */
  track<T>(work: (sent: () => void) => Promise<T>): Promise<T> {
    let isUnsent = true;
    this.count += 1;
    const sent = (): void => {
      if (!isUnsent) return;
      isUnsent = false;
      this.count -= 1;
      if (this.count === 0) for (const resolve of this.waiting.splice(0)) resolve();
    };
    const result = work(sent);
    result.then(sent, sent);
    return result;
  }

  get none(): boolean {
    return this.count === 0;
  }

  /** Resolves when none is left, also of those that begin meanwhile. */
  async allSent(): Promise<void> {
    while (this.count > 0) await new Promise<void>((resolve) => this.waiting.push(resolve));
  }
}
