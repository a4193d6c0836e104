import { Writable } from 'node:stream';
import { ConsoleLogger, Logger, type LoggerService, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { WinstonModule } from 'nest-winston';
import { LoggerModule, Logger as PinoLogger } from 'nestjs-pino';
import { transports } from 'winston';
import { createLog } from './log';

const TEXT = 'A handler failed; the event is tried again';
const DETAILS = { eventId: '0190-an-id', reason: 'Error: 100 % of %s and %d %j "quoted"' };
const WHOLE = `${TEXT} ${JSON.stringify(DETAILS)}`;
const LEVELS = ['log', 'warn', 'error'] as const;

/** Everything that was written, one entry per line. */
class Lines extends Writable {
  private text = '';

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }

  get all(): string[] {
    return this.text.split('\n').filter((line) => line !== '');
  }
}

/** What Nest's console prints while the function runs. */
function printed(write: () => void): string[] {
  const lines = new Lines();
  const keep = (chunk: string | Uint8Array): boolean => lines.write(chunk);
  const out = jest.spyOn(process.stdout, 'write').mockImplementation(keep);
  const err = jest.spyOn(process.stderr, 'write').mockImplementation(keep);
  write();
  out.mockRestore();
  err.mockRestore();
  return lines.all;
}

function writeAtEachLevel(): void {
  const log = createLog();
  for (const level of LEVELS) log[level](TEXT, DETAILS);
}

describe('the log, through the loggers that people use', () => {
  afterEach(() => {
    Logger.overrideLogger(false);
  });

  it("is one line with text, ids and reason in Nest's console", () => {
    Logger.overrideLogger(new ConsoleLogger({ colors: false }));
    const lines = printed(writeAtEachLevel);
    expect(lines).toHaveLength(LEVELS.length);
    for (const line of lines) expect(line).toContain(`[ReliableMq] ${WHOLE}`);
  });

  it("is one record with text, ids and reason in Nest's console as JSON", () => {
    Logger.overrideLogger(new ConsoleLogger({ json: true }));
    const records = printed(writeAtEachLevel).map((line) => JSON.parse(line) as object);
    expect(records).toMatchObject(LEVELS.map((level) => ({ level, message: WHOLE, context: 'ReliableMq' })));
  });

  it('is one record with text, ids and reason in nestjs-pino', async () => {
    const lines = new Lines();
    class App {}
    Module({ imports: [LoggerModule.forRoot({ pinoHttp: [{ level: 'trace' }, lines] })] })(App);
    const app = await NestFactory.createApplicationContext(App, { logger: false });
    app.useLogger(app.get(PinoLogger));
    const before = lines.all.length;
    writeAtEachLevel();
    const records = lines.all.slice(before).map((line) => JSON.parse(line) as object);
    expect(records).toMatchObject([30, 40, 50].map((level) => ({ level, msg: WHOLE, context: 'ReliableMq' })));
    await app.close();
  });

  it('is one record with text, ids and reason in nest-winston', () => {
    const lines = new Lines();
    Logger.overrideLogger(WinstonModule.createLogger({ transports: [new transports.Stream({ stream: lines })] }));
    writeAtEachLevel();
    const records = lines.all.map((line) => JSON.parse(line) as object);
    expect(records).toMatchObject(['info', 'warn', 'error'].map((level) => ({ level, message: WHOLE })));
  });

  it('throws nothing when the logger does', () => {
    const failing = (): never => {
      throw new Error('the disk is full');
    };
    const logger: LoggerService = { log: failing, error: failing, warn: failing, debug: failing };
    Logger.overrideLogger(logger);
    expect(writeAtEachLevel).not.toThrow();
  });
});
