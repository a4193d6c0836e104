import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { type ArmMessage, type FiredMessage, sameTrigger, type Trigger } from './apps/trigger';
import { monotonicMs, pause, waitUntil } from './clock';

const RESTART_AFTER_MS = 150;
/** A process that ends sooner than this could not start: the next attempt waits longer. */
const STARTED_AFTER_MS = 1_500;
const RESTART_AFTER_FAILURE_MS = 1_000;
const HEALTH_WITHIN_MS = 2_000;
/** One that froze after all, a moment before it was told not to, goes on after this long. */
const LATE_FREEZE_MS = 1_000;

const LIBFAKETIME = ['x86_64-linux-gnu', 'aarch64-linux-gnu'].map(
  (machine) => `/usr/lib/${machine}/faketime/libfaketime.so.1`,
);

/** Debian's faketime, which sets the wall clock of one process. Undefined: not installed. */
export function libfaketime(): string | undefined {
  return LIBFAKETIME.find((file) => existsSync(file));
}

export type AppName = 'order' | 'inventory';

export const APPS: readonly AppName[] = ['order', 'inventory'];

export interface InstanceOptions {
  readonly app: AppName;
  /** From 1. */
  readonly number: number;
  readonly script: string;
  readonly port: number;
  readonly env: Readonly<Record<string, string>>;
  readonly folder: string;
  readonly onPids: () => void;
}

/** One process of an app, started again whenever it ends, as a supervisor of containers does it. */
export class Instance {
  readonly name: string;
  readonly logFile: string;
  readonly traceFile: string;
  /** How often it was started. */
  starts = 0;
  private child: ChildProcess | undefined;
  private startedAt = 0;
  private clockOffsetSeconds = 0;
  private stopped = true;
  private armed: { readonly trigger: Trigger; readonly onFired: () => void } | undefined;

  constructor(private readonly options: InstanceOptions) {
    this.name = `${options.app}-${options.number}`;
    this.logFile = join(options.folder, `${this.name}.log`);
    this.traceFile = join(options.folder, `${this.name}.trace`);
  }

  get app(): AppName {
    return this.options.app;
  }

  get port(): number {
    return this.options.port;
  }

  get pid(): number | undefined {
    return this.child?.pid;
  }

  start(): void {
    this.stopped = false;
    this.spawn();
  }

  /** Ends it for good. */
  async end(): Promise<void> {
    this.stopped = true;
    this.signal('SIGKILL');
    await waitUntil(() => this.child === undefined, 10_000);
  }

  signal(signal: NodeJS.Signals): void {
    this.child?.kill(signal);
  }

  /** From its next start on its wall clock is so many seconds off. */
  setClock(offsetSeconds: number): void {
    this.clockOffsetSeconds = offsetSeconds;
  }

  /** @returns whether the step was reached within that time */
  async dieAt(trigger: Trigger, withinMs: number): Promise<boolean> {
    let fired = false;
    this.armed = { trigger, onFired: () => (fired = true) };
    this.sendTrigger();
    await waitUntil(() => fired, withinMs, 20);
    this.armed = undefined;
    if (!fired) this.send({ disarm: trigger });
    return fired;
  }

  async healthy(): Promise<boolean> {
    return (await this.askHealth()) === 200;
  }

  /** It answers, be it that its broker is away. */
  async answers(): Promise<boolean> {
    return (await this.askHealth()) !== undefined;
  }

  private async askHealth(): Promise<number | undefined> {
    try {
      const response = await fetch(`http://127.0.0.1:${this.port}/health`, {
        signal: AbortSignal.timeout(HEALTH_WITHIN_MS),
        headers: { connection: 'close' },
      });
      await response.arrayBuffer();
      return response.status;
    } catch {
      return undefined;
    }
  }

  private spawn(): void {
    const log = openSync(this.logFile, 'a');
    const child = spawn(process.execPath, [this.options.script], {
      env: { PATH: process.env.PATH ?? '', ...this.options.env, CHAOS_TRACE_FILE: this.traceFile, ...this.clock() },
      stdio: ['ignore', log, log, 'ipc'],
    });
    closeSync(log);
    this.child = child;
    this.starts += 1;
    this.startedAt = monotonicMs();
    child.on('error', () => undefined);
    child.on('message', (message) => this.receive(message as FiredMessage));
    child.once('exit', () => void this.restart(child));
    this.sendTrigger();
    this.options.onPids();
  }

  private async restart(child: ChildProcess): Promise<void> {
    if (this.child === child) this.child = undefined;
    this.options.onPids();
    const couldStart = monotonicMs() - this.startedAt > STARTED_AFTER_MS;
    await pause(couldStart ? RESTART_AFTER_MS : RESTART_AFTER_FAILURE_MS);
    if (!this.stopped && !this.child) this.spawn();
  }

  private receive({ fired }: FiredMessage): void {
    const { armed } = this;
    if (armed && sameTrigger(fired, armed.trigger)) {
      this.armed = undefined;
      armed.onFired();
    } else if (fired.action === 'SIGSTOP') {
      // Nobody waits for it any more, and it would stay frozen.
      void pause(LATE_FREEZE_MS).then(() => this.signal('SIGCONT'));
    }
  }

  /** Also to a process that has just been started: it may have died of something else meanwhile. */
  private sendTrigger(): void {
    if (this.armed) this.send({ arm: this.armed.trigger });
  }

  private send(message: ArmMessage): void {
    if (this.child?.connected) this.child.send(message, () => undefined);
  }

  private clock(): Record<string, string> {
    const library = libfaketime();
    if (this.clockOffsetSeconds === 0 || library === undefined) return {};
    const offset = `${this.clockOffsetSeconds > 0 ? '+' : ''}${this.clockOffsetSeconds}s`;
    return { LD_PRELOAD: library, FAKETIME: offset, DONT_FAKE_MONOTONIC: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1' };
  }
}
