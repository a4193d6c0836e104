import type { TransportStatus } from './transport';

/** Holds the present status and tells the listeners when it changes; the same status set twice is one change. */
export class StatusBoard {
  private readonly listeners = new Set<(status: TransportStatus) => void>();
  private status: TransportStatus;

  /** @param onListenerError a listener's exception must not reach the broker's protocol machinery, which calls `set` */
  constructor(
    initial: TransportStatus,
    private readonly onListenerError: (error: unknown) => void,
  ) {
    this.status = initial;
  }

  get current(): TransportStatus {
    return this.status;
  }

  set(status: TransportStatus): void {
    if (status.available === this.status.available && status.reason === this.status.reason) return;
    this.status = status;
    for (const listener of [...this.listeners]) {
      try {
        listener(status);
      } catch (error) {
        this.onListenerError(error);
      }
    }
  }

  /** @returns removes the listener */
  listen(listener: (status: TransportStatus) => void): () => void {
    const own = (status: TransportStatus): void => listener(status);
    this.listeners.add(own);
    return () => this.listeners.delete(own);
  }
}
