import 'reflect-metadata';
import { type INestApplicationContext, Logger, Module, type Provider } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { type Hooks, ReliableMqModule, type ReliableMqOptions } from 'nestjs-reliable-mq';

/** Where a measured application works; its exchange has the service's name. */
export interface Place {
  readonly databaseUrl: string;
  readonly amqpUrl: string;
  readonly service: string;
}

export interface AppOptions extends Place {
  readonly poolSize: number;
  readonly providers?: readonly Provider[];
  readonly hooks?: Partial<Hooks>;
  readonly reliableMq?: Partial<ReliableMqOptions>;
}

/**
 * For works whose events nobody consumes: none of them, however long it takes, may publish its own first events again for want of
 * a receipt.
 */
export const UNCHASED = { receipts: { chaseAfterMs: 3_600_000 } } as const satisfies Partial<ReliableMqOptions>;

/** As TypeORM calls the database of a url. */
export function typeOf(databaseUrl: string): 'postgres' | 'mariadb' {
  return databaseUrl.startsWith('mysql:') ? 'mariadb' : 'postgres';
}

/** An application with the module as its users have it: default options, unless a benchmark says otherwise. */
export async function startApp(options: AppOptions): Promise<INestApplicationContext> {
  const { databaseUrl, amqpUrl, service, poolSize, providers = [], hooks = {}, reliableMq = {} } = options;
  @Module({
    imports: [
      TypeOrmModule.forRoot({ type: typeOf(databaseUrl), url: databaseUrl, entities: [], poolSize }),
      ReliableMqModule.forRoot({ service, rabbitmq: { uri: amqpUrl, exchange: service }, hooks, ...reliableMq }),
    ],
    providers: [...providers],
  })
  class BenchModule {}
  Logger.overrideLogger(['fatal', 'error', 'warn']);
  return NestFactory.createApplicationContext(BenchModule, { abortOnError: false, logger: ['fatal', 'error', 'warn'] });
}
