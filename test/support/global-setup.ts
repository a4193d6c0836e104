import { dropLeftoverDatabases } from './database';
import { beginRun } from './run-id';
import { provideServers } from './servers';

/** Once per run of Jest, before the first integration or e2e spec. Not called for the unit specs. */
export default async function globalSetup(): Promise<void> {
  beginRun();
  const { postgresUrl, mariadbUrl, rabbitmqUrl, report } = await provideServers();
  process.stdout.write(`\n${report.join('\n')}\n`);
  process.env.TEST_POSTGRES_URL = postgresUrl;
  if (mariadbUrl === undefined) delete process.env.TEST_MYSQL_URL;
  else process.env.TEST_MYSQL_URL = mariadbUrl;
  process.env.TEST_RABBITMQ_URL = rabbitmqUrl;
  await dropLeftoverDatabases(postgresUrl);
  if (mariadbUrl !== undefined) await dropLeftoverDatabases(mariadbUrl);
}
