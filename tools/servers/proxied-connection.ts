import type { Socket } from 'node:net';

export type Direction = 'toServer' | 'toClient';

/** What the link does to bytes now. Changed while connections are open. */
export interface LinkConditions {
  blackhole: boolean;
  /** Counted while it is one. */
  swallowedBytes: number;
  latencyMs: number;
  jitterMs: number;
  bytesPerSecond: number | undefined;
  /** Bytes that may still pass before the connection that carries them is reset. */
  readonly cutAfter: Record<Direction, number | undefined>;
}

/** A link that lets everything pass at once. */
export function undisturbed(): LinkConditions {
  return {
    blackhole: false,
    swallowedBytes: 0,
    latencyMs: 0,
    jitterMs: 0,
    bytesPerSecond: undefined,
    cutAfter: { toServer: undefined, toClient: undefined },
  };
}

/** With a limit, pieces of a twentieth of a second: smooth, and a change of the limit shows soon. */
const PIECES_PER_SECOND = 20;
/** Bytes on their way (delayed ones) before the proxy stops reading from the sender. */
const IN_FLIGHT_BYTES = 1024 * 1024;

/** One client's connection and the one to the server that belongs to it; both end together. */
export class ProxiedConnection {
  private destroyed = false;
  private readonly lanes: readonly Lane[];

  constructor(
    private readonly client: Socket,
    private readonly server: Socket,
    conditions: LinkConditions,
    private readonly onClosed: () => void,
  ) {
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on('error', () => this.destroy());
      socket.on('close', () => this.bothClosed());
    }
    const cut = (): void => this.destroy();
    this.lanes = [
      new Lane(client, server, 'toServer', conditions, cut),
      new Lane(server, client, 'toClient', conditions, cut),
    ];
  }

  /** Resets both sockets: the peers see ECONNRESET, not an orderly end. */
  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    for (const lane of this.lanes) lane.stop();
    // A socket that is still connecting cannot be reset, nor one whose end is on its way: libuv refuses (uv_tcp_close_reset, EINVAL),
    // and Node then forgets the handle without closing it.
    for (const socket of [this.client, this.server]) {
      const isEnding = socket.writableEnded && !socket.writableFinished;
      if (socket.connecting || isEnding) socket.destroy();
      else socket.resetAndDestroy();
    }
    this.onClosed();
  }

  private bothClosed(): void {
    if (this.client.destroyed && this.server.destroyed) {
      this.destroyed = true;
      for (const lane of this.lanes) lane.stop();
      this.onClosed();
    }
  }
}

interface Piece {
  /** Undefined: the sender's end. */
  readonly bytes: Buffer | undefined;
  /** When it may arrive, on the monotonic clock, in milliseconds. */
  readonly dueMs: number;
}

/** One direction: a queue of pieces that arrive in order, each not before its time. */
class Lane {
  private readonly queue: Piece[] = [];
  private queuedBytes = 0;
  private timer: NodeJS.Timeout | undefined;
  private waitingForDrain = false;
  private stopped = false;
  /** With a limit: when the link has carried what was sent so far. */
  private linkFreeMs = 0;

  constructor(
    private readonly from: Socket,
    private readonly to: Socket,
    private readonly direction: Direction,
    private readonly conditions: LinkConditions,
    private readonly cut: () => void,
  ) {
    from.on('data', (bytes: Buffer) => this.receive(bytes));
    from.on('end', () => this.enqueue(undefined));
    to.on('drain', () => {
      this.waitingForDrain = false;
      this.deliver();
    });
  }

  stop(): void {
    this.stopped = true;
    this.queue.length = 0;
    clearTimeout(this.timer);
  }

  private receive(bytes: Buffer): void {
    if (this.swallows(bytes)) return;
    this.enqueue(bytes);
    if (this.queuedBytes >= IN_FLIGHT_BYTES) this.from.pause();
  }

  private swallows(bytes: Buffer): boolean {
    if (this.conditions.blackhole) this.conditions.swallowedBytes += bytes.length;
    return this.conditions.blackhole;
  }

  private enqueue(bytes: Buffer | undefined): void {
    if (this.stopped) return;
    const { latencyMs, jitterMs } = this.conditions;
    const previousMs = this.queue.at(-1)?.dueMs ?? 0;
    const dueMs = latencyMs + jitterMs > 0 ? performance.now() + latencyMs + Math.random() * jitterMs : 0;
    // Jitter delays, it never overtakes: this is TCP.
    this.queue.push({ bytes, dueMs: Math.max(dueMs, previousMs) });
    this.queuedBytes += bytes?.length ?? 0;
    this.deliver();
  }

  private deliver(): void {
    while (!this.stopped && !this.waitingForDrain) {
      const piece = this.queue[0];
      if (!piece) break;
      const waitMs =
        Math.max(piece.dueMs, this.conditions.bytesPerSecond === undefined ? 0 : this.linkFreeMs) - performance.now();
      if (waitMs > 0) {
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.deliver(), Math.ceil(waitMs));
        return;
      }
      this.queue.shift();
      if (piece.bytes === undefined) this.to.end();
      else this.send(piece.bytes, piece.dueMs);
    }
    if (this.queuedBytes < IN_FLIGHT_BYTES / 2 && this.from.isPaused()) this.from.resume();
  }

  private send(bytes: Buffer, dueMs: number): void {
    this.queuedBytes -= bytes.length;
    if (this.swallows(bytes)) return; // it was on its way already
    const { bytesPerSecond, cutAfter } = this.conditions;
    const allowed =
      bytesPerSecond === undefined ? bytes.length : Math.max(1, Math.floor(bytesPerSecond / PIECES_PER_SECOND));
    if (bytes.length > allowed) {
      this.queue.unshift({ bytes: bytes.subarray(allowed), dueMs });
      this.queuedBytes += bytes.length - allowed;
      bytes = bytes.subarray(0, allowed);
    }
    if (bytesPerSecond !== undefined)
      this.linkFreeMs = Math.max(this.linkFreeMs, performance.now()) + (bytes.length / bytesPerSecond) * 1_000;
    const left = cutAfter[this.direction];
    if (left !== undefined && bytes.length >= left) {
      cutAfter[this.direction] = undefined;
      // Reset only when the bytes are out: a reset would overtake what is still in the buffer.
      this.stop();
      this.to.write(bytes.subarray(0, left), this.cut);
      return;
    }
    if (left !== undefined) cutAfter[this.direction] = left - bytes.length;
    this.waitingForDrain = !this.to.write(bytes);
  }
}
