import type { DynamicModule } from '@nestjs/common';
import { EventOperations, EventRecorder, type EventRecord } from 'nestjs-reliable-mq';
import { createService } from '../../apps/platform/run-service';
import { merge, readSettings, type ServiceIdentity, type ServiceSettings } from '../../apps/platform/settings';
import type { DatabaseName } from '../support/database';
import { TestApp } from '../support/test-app';

/** One service inside the test, on a database of its own; nothing reaches its handlers but what the test calls. */
export interface SilentService {
  readonly app: TestApp;
  /** Calls a handler or compensation the way the library does: in a transaction. */
  handle<T>(work: () => Promise<T>): Promise<T>;
  /** What it has recorded, oldest first. */
  recorded(): Promise<readonly EventRecord[]>;
  dispose(): Promise<void>;
}

/** @param create e.g. `OrderModule.with` */
export async function startSilently(
  identity: ServiceIdentity,
  create: (settings: ServiceSettings) => DynamicModule,
  database: DatabaseName = 'postgres',
): Promise<SilentService> {
  const app = await TestApp.start({
    database,
    boot: async ({ url }, broker) => {
      broker.goOffline();
      const settings = readSettings(identity, { [`${identity.name.toUpperCase()}_DATABASE_URL`]: url });
      const reliableMq = merge(settings.reliableMq, { transport: broker, compensation: { enabled: false } });
      const service = await createService(create({ ...settings, reliableMq }), { logger: false });
      return service.init();
    },
  });
  const operations = app.get(EventOperations);
  return {
    app,
    handle: (work) => app.get(EventRecorder).transaction(work),
    recorded: async () => [...(await operations.list({ limit: 1_000 }))].reverse(),
    dispose: () => app.dispose(),
  };
}
