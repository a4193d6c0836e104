import { type CommandResult, runCommand } from '../../../libs/reliable-mq/src/operate/cli/run-command';
import { freePort } from '../../../tools/servers/ports';
import { type RabbitmqNode, startRabbitmq } from '../../../tools/servers/rabbitmq';
import { createTestDatabase, type DatabaseName } from '../../support/database';
import { eventually } from '../../support/eventually';
import { quick, TestApp } from '../../support/test-app';
import { TestBroker } from '../../support/test-broker';
import { Deduction, Orders, Stock } from './two-services';

interface Told {
  readonly toChange: number;
  readonly findings: readonly { readonly verdict: string; readonly area: string; readonly text: string }[];
}

const DATABASES: readonly DatabaseName[] = ['postgres', 'mariadb'];

async function doctor(env: Record<string, string>, ...more: readonly string[]): Promise<CommandResult & Told> {
  const result = await runCommand(['doctor', '--json', ...more], { env, user: 'anna' });
  return { ...result, ...(JSON.parse(result.output) as Told) };
}

const textsOf = ({ findings }: Told, wanted: string): readonly string[] =>
  findings.filter(({ verdict }) => verdict === wanted).map(({ text }) => text);

/** A server of tests may have settings that no other one should have. */
const toChange = ({ findings }: Told): readonly string[] =>
  textsOf({ toChange: 0, findings: findings.filter(({ area }) => area !== 'database') }, 'change');

describe.each(DATABASES)('the doctor on %s', (kind) => {
  it('says that the tables are missing and what makes them, then that all is well, and what it was not told', async () => {
    const database = await createTestDatabase(kind);
    const env = { DATABASE_URL: database.url };
    try {
      const before = await doctor(env);
      expect(before).toMatchObject({ exitCode: 1, toChange: 1 });
      expect(textsOf(before, 'change')[0]).toMatch(
        /tables .*are missing[^]*`npx nestjs-reliable-mq migrate` does that/,
      );

      await runCommand(['migrate'], { env, user: 'anna' });
      const after = await doctor(env);
      const notChecked = textsOf(after, 'not-checked').join('\n');
      expect(toChange(after)).toEqual([]);
      for (const said of ['AMQP_URL', '--pool-size', '--producer-options']) expect(notChecked).toContain(said);
      expect(textsOf(after, 'ok').join('\n')).toMatch(
        kind === 'postgres' ? /version: PostgreSQL 1/ : /version: MariaDB 1/,
      );
    } finally {
      await database.drop();
    }
  });

  it('names dead events, what is overdue, and a broker that does not answer', async () => {
    const app = await TestApp.start({ database: kind, reliableMq: quick({ service: 'order' }), providers: [Orders] });
    try {
      await app.get(Orders).place('order 1');
      await app.close();
      await app.database.makeDue('outbox', 10 * 60_000);
      const env = { DATABASE_URL: app.database.url, AMQP_URL: 'amqp://guest:secret@127.0.0.1:1' };
      const change = textsOf(await doctor(env), 'change').join('\n');
      expect(change).toContain('outbox: something has been due for 10 min');
      expect(change).toContain('the broker cannot be asked at amqp://guest:***@127.0.0.1:1');
      expect(textsOf(await doctor(env, '--max-lag', '3600'), 'change').join('\n')).not.toContain('has been due');
    } finally {
      await app.database.drop();
    }
  });
});

describe("the doctor at the broker's management API", () => {
  let node: RabbitmqNode;
  let management: string;
  let app: TestApp;

  beforeAll(async () => {
    const port = await freePort();
    node = await startRabbitmq({
      plugins: ['rabbitmq_management'],
      config: { 'management.tcp.port': String(port), 'management.tcp.ip': '127.0.0.1' },
    });
    management = `http://guest:guest@127.0.0.1:${port}`;
    const broker = new TestBroker([node.url]);
    app = await TestApp.start({
      broker,
      reliableMq: quick({ service: 'stock' }),
      entities: [Deduction],
      providers: [Orders, Stock],
    });
  });
  afterAll(async () => {
    await app.dispose();
    await node.dispose();
  });

  it('sees who consumes each queue, its type, and a policy that bounds it; a queue without a consumer', async () => {
    const queue = 'stock.order.created';
    const id = await app.get(Orders).place('order 1');
    await eventually(async () => expect((await app.outbox({ id }))[0]).toMatchObject({ status: 'consumed' }));
    const env = { DATABASE_URL: app.database.url, AMQP_URL: node.url };

    // The API knows a queue a moment after it was declared.
    const well = await eventually(async () => {
      const told = await doctor(env, '--management', management);
      expect(textsOf(told, 'ok')).toContain(`queue ${queue} is a quorum queue that no policy bounds`);
      return told;
    });
    expect(toChange(well)).toEqual([]);
    expect(textsOf(well, 'ok')).toContain(`queue ${queue}: 0 messages wait, 1 consumer`);
    expect(textsOf(well, 'ok').join('\n')).toMatch(/RabbitMQ \d+\.\d+\.\d+ answers/);
    expect(textsOf(await doctor(env), 'not-checked').join('\n')).toContain('types and policies of queues');

    await node.ctl('set_policy', 'ttl', '^stock', '{"message-ttl":60000}', '--apply-to', 'queues');
    await eventually(async () => {
      const bounded = await doctor(env, '--management', management);
      expect(textsOf(bounded, 'change').join('\n')).toContain(`Policy ttl bounds queue ${queue} by message-ttl`);
    });
    await node.ctl('clear_policy', 'ttl');

    await app.close();
    await eventually(async () => {
      const left = await doctor(env);
      expect(left).toMatchObject({ exitCode: 1 });
      expect(textsOf(left, 'change').join('\n')).toContain(`Nobody consumes queue ${queue}`);
    });
    await node.deleteQueue(queue);
    expect(textsOf(await doctor(env), 'change').join('\n')).toContain(`Queue ${queue} does not exist`);
  });
});
