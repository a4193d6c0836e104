import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TerminusModule } from '@nestjs/terminus';
import { TypeOrmModule } from '@nestjs/typeorm';
import { MemoryBroker, ReliableMqModule } from 'nestjs-reliable-mq';
import { ReliableMqConsoleModule } from 'nestjs-reliable-mq/console';
import { ReliableMqOpenTelemetryModule } from 'nestjs-reliable-mq/opentelemetry';
import { ReliableMqHealthIndicator } from 'nestjs-reliable-mq/terminus';

// An application with the optional entries. It prints what its health indicator says.

@Module({
  imports: [
    TypeOrmModule.forRoot({ type: 'postgres', url: process.env['DATABASE_URL'] ?? '' }),
    ReliableMqModule.forRoot({ service: 'shop', transport: new MemoryBroker() }),
    ReliableMqConsoleModule.forRoot({
      guards: [{ canActivate: () => false }],
      role: ({ user }) => (user ? 'act' : 'read'),
    }),
    ReliableMqOpenTelemetryModule,
    TerminusModule,
  ],
  providers: [ReliableMqHealthIndicator],
})
class AppModule {}

async function main(): Promise<void> {
  const app = await NestFactory.createApplicationContext(AppModule, { logger: ['warn', 'error', 'fatal'] });
  const result = await app.get(ReliableMqHealthIndicator).isHealthy();
  console.log(JSON.stringify(result['reliable-mq']));
  await app.close();
}

void main();
