import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module';

async function main(): Promise<void> {
  const app = await NestFactory.create(AppModule);
  app.enableShutdownHooks(); // a stopping process finishes what it holds
  await app.listen(process.env.PORT ?? 3002);
}

void main();
