import { EACH_TIME, skuThatFails } from '../apps/orders-to-fail';
import { waitUntil } from '../clock';
import type { DatabaseKind, Session } from '../database';
import type { Landscape } from '../landscape';
import { type FaultKind, FaultMissed, type World } from './fault';
import { placeOrders } from './handlers';

/** Its event dies after all its attempts: that takes long enough to put something in the way of its compensation. */
const GIVEN_UP = skuThatFails({ what: 'throw', attempts: EACH_TIME, eventType: 'order.created' });
/** Its attempts, the receipt and the compensations, while something else may be broken. */
const FAILED_WITHIN_MS = 90_000;

/** Keeps the compensation handler of one order from succeeding. */
interface Obstacle {
  /** In the reason of every attempt that it made fail. */
  readonly shows: string;
  /** Asked again and again: other faults may have taken it away. */
  put(): Promise<void>;
  remove(): Promise<void>;
}

export const COMPENSATION_FAULTS: readonly FaultKind[] = [
  {
    name: 'compensation handler throws, then succeeds',
    family: 'handler',
    lane: 'compensations',
    seconds: 16,
    inject: (world, random) => failCompensation(world, refusal, random.integer(2, 4)),
  },
  {
    name: 'compensation handler hangs, then succeeds',
    family: 'handler',
    lane: 'compensations',
    seconds: 24,
    inject: (world, random) => failCompensation(world, lock, random.integer(1, 2)),
  },
];

async function failCompensation(
  { landscape, load }: World,
  obstacleFor: (landscape: Landscape, orderId: string) => Obstacle,
  times: number,
): Promise<string> {
  const [order] = await placeOrders(load, GIVEN_UP, 1);
  const orderId = order?.orderId ?? '';
  const obstacle = obstacleFor(landscape, orderId);
  let failures = 0;
  try {
    await waitUntil(
      async () => {
        await obstacle.put();
        const compensation = await compensationOf(landscape, orderId, obstacle.shows);
        ({ failures } = compensation);
        return failures >= times || compensation.is_over;
      },
      FAILED_WITHIN_MS,
      500,
    );
  } finally {
    await obstacle.remove();
  }
  if (failures === 0) throw new FaultMissed(`no compensation of order ${orderId} failed of it`);
  return `${failures} attempts to compensate order ${orderId}`;
}

/** What undoes the order violates a rule of its database, as a constraint or a trigger of another team's would have it. */
function refusal(landscape: Landscape, orderId: string): Obstacle {
  const shows = 'told to refuse the compensation';
  // The table's lock waits behind transactions of frozen processes, and everybody else behind it: for a moment only, then again.
  const { put, remove } = REFUSALS[landscape.database.kind](orderId, shows);
  let isPut = false;
  return {
    shows,
    put: async () => {
      if (isPut) return;
      for (const statement of put) await landscape.query('order', statement);
      isPut = true;
    },
    remove: async () => {
      for (const statement of remove) await landscape.query('order', statement);
    },
  };
}

const REFUSALS: Readonly<
  Record<DatabaseKind, (orderId: string, shows: string) => Record<'put' | 'remove', readonly string[]>>
> = {
  postgres: (orderId, shows) => {
    const begin = `SET LOCAL lock_timeout = '2s'; DROP FUNCTION IF EXISTS chaos_refuse() CASCADE`;
    return {
      put: [
        `${begin};
         CREATE FUNCTION chaos_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '${shows}'; END $$;
         CREATE TRIGGER chaos_refuse BEFORE UPDATE ON orders FOR EACH ROW
           WHEN (NEW.id = '${orderId}' AND NEW.status = 'FAILED') EXECUTE FUNCTION chaos_refuse()`,
      ],
      remove: [begin],
    };
  },
  mariadb: (orderId, shows) => ({
    put: [
      `SET STATEMENT lock_wait_timeout = 2 FOR
         CREATE OR REPLACE TRIGGER chaos_refuse BEFORE UPDATE ON orders FOR EACH ROW
         IF NEW.id = '${orderId}' AND NEW.status = 'FAILED' THEN
           SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '${shows}';
         END IF`,
    ],
    remove: ['SET STATEMENT lock_wait_timeout = 2 FOR DROP TRIGGER IF EXISTS chaos_refuse'],
  }),
};

/** Another session holds the order's row: the handler waits for it until its time is over. */
function lock(landscape: Landscape, orderId: string): Obstacle {
  let holder: Session | undefined;
  return {
    shows: 'did not finish within',
    put: async () => {
      if (!holder || holder.ended) holder = await lockOrder(landscape, orderId);
    },
    remove: async () => {
      await holder?.end();
    },
  };
}

/** @returns the session that holds it; undefined when the database is being broken */
async function lockOrder(landscape: Landscape, orderId: string): Promise<Session | undefined> {
  let session: Session | undefined;
  try {
    session = await landscape.session('order');
    await session.query(landscape.database.sql.lockTimeout(2));
    await session.query('BEGIN');
    await session.query('SELECT id FROM orders WHERE id = $1 FOR UPDATE', [orderId]);
    return session;
  } catch {
    await session?.end();
    return undefined;
  }
}

interface Compensation {
  readonly failures: number;
  readonly is_over: boolean;
}

/** Failed attempts whose reason shows that text, as the outbox row tells them. */
async function compensationOf(landscape: Landscape, orderId: string, shows: string): Promise<Compensation> {
  const [row] = await landscape.query<{ readonly is_over: boolean; readonly history: string | readonly Attempt[] }>(
    'order',
    `SELECT compensated_at IS NOT NULL AS is_over, history
     FROM reliable_mq_outbox WHERE type = 'order.created' AND ${landscape.database.sql.field('orderId')} = $1`,
    [orderId],
  );
  if (!row) return { failures: 0, is_over: false };
  const history = typeof row.history === 'string' ? (JSON.parse(row.history) as Attempt[]) : row.history;
  const failures = history.filter(
    ({ reason }) => reason.startsWith('compensation failed: ') && reason.includes(shows),
  ).length;
  return { failures, is_over: row.is_over };
}

interface Attempt {
  readonly reason: string;
}
