import 'reflect-metadata';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isatty } from 'node:tty';
import { type DynamicModule, type INestApplication, type LoggerService, ValidationPipe } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { ServiceLogger } from './service-logger';
import {
  InvalidSettingsError,
  logLevelsUpTo,
  readSettings,
  type ServiceIdentity,
  type ServiceSettings,
} from './settings';

/** The process of a service: starts it, ends with 0 after SIGTERM or SIGINT, and with 1 when it cannot start. */
export async function runService(
  service: ServiceIdentity,
  createModule: (settings: ServiceSettings) => DynamicModule,
): Promise<void> {
  try {
    const settings = readSettings(service, process.env);
    const { level, json } = settings.logging;
    const logger = new ServiceLogger({
      json,
      logLevels: logLevelsUpTo(level),
      colors: !json && isatty(1),
    });
    const app = await createService(createModule(settings), { logger });
    // Without useProcessExit Nest sends itself the signal again, which does nothing to a container's first process.
    app.enableShutdownHooks(['SIGTERM', 'SIGINT'], { useProcessExit: true });
    await app.listen(settings.port);
    const { port } = (app.getHttpServer() as Server).address() as AddressInfo;
    logger.log(`The ${service.name} service answers at http://localhost:${port}`, 'Main');
  } catch (error) {
    const text = error instanceof InvalidSettingsError ? error.message : describe(error);
    process.stderr.write(`The ${service.name} service cannot start. ${text}\n`);
    process.exit(1);
  }
}

/** The service as an application that does not listen yet. */
export async function createService(
  module: DynamicModule,
  options: { readonly logger: LoggerService | false },
): Promise<INestApplication> {
  const app = await NestFactory.create<NestExpressApplication>(module, { ...options, abortOnError: false });
  app.disable('x-powered-by');
  app.useGlobalPipes(new ValidationPipe({ whitelist: true, forbidNonWhitelisted: true, transform: true }));
  return app;
}

/** A refused connection to a name with several addresses is an AggregateError without a message. */
function describe(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(describe).join('; ');
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return `${error.name}: ${error.message}${cause === undefined ? '' : ` (cause: ${describe(cause)})`}`;
}
