import type { DataSource } from 'typeorm';
import type { Examined } from '../port';
import { queryAlone } from './sql';

/** SKIP LOCKED and what the migrations say are older; this is the oldest one that the suites run on. */
const FLOOR = 130_000;
const LONG_TRANSACTION_MS = 10 * 60_000;
/** Of `max_connections`. */
const NEARLY_ALL = 0.9;

interface Facts {
  readonly version: string;
  readonly number: number;
  readonly encoding: string;
  readonly takesWrites: boolean;
  readonly autovacuum: string;
  readonly commit: string;
  readonly fsync: string;
  readonly connections: number;
  readonly maxConnections: number;
  readonly oldestMs: number | null;
}

/** What the promises rest on at the server. */
export async function examine(dataSource: DataSource): Promise<readonly Examined[]> {
  const [facts] = await queryAlone<Facts>(
    dataSource,
    `SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,
       current_setting('server_encoding') AS encoding,
       NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off' AS "takesWrites",
       current_setting('autovacuum') AS autovacuum, current_setting('synchronous_commit') AS commit, current_setting('fsync') AS fsync,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::int AS connections,
       current_setting('max_connections')::int AS "maxConnections",
       (SELECT extract(epoch FROM clock_timestamp() - min(xact_start)) * 1000 FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid())::float8 AS "oldestMs"`,
  );
  return facts ? judge(facts) : [];
}

function judge(facts: Facts): readonly Examined[] {
  const { version, encoding, takesWrites, autovacuum, commit, fsync, connections, maxConnections } = facts;
  const minutes = Math.floor((facts.oldestMs ?? 0) / 60_000);
  return [
    {
      what: 'version',
      found: `PostgreSQL ${version}`,
      problem: facts.number < FLOOR ? 'PostgreSQL 13 or later is needed.' : undefined,
    },
    {
      what: 'encoding',
      found: encoding,
      problem: ['UTF8', 'SQL_ASCII'].includes(encoding)
        ? undefined
        : 'Events with characters that it does not have are refused. Create the database with ENCODING UTF8.',
    },
    {
      what: 'writes',
      found: takesWrites ? 'it takes writes' : 'it takes none',
      problem: takesWrites ? undefined : 'It is a standby, or read-only by default: connect to the primary.',
    },
    {
      what: 'synchronous_commit',
      found: commit,
      problem: commit === 'off' ? 'A commit that was answered may be lost with the server: set it to on.' : undefined,
    },
    {
      what: 'fsync',
      found: fsync,
      problem: fsync === 'off' ? 'Tables may be lost with the power: set it to on.' : undefined,
    },
    {
      what: 'autovacuum',
      found: autovacuum,
      problem: autovacuum === 'off' ? 'Claims become slow as dead rows gather: set it to on.' : undefined,
    },
    {
      what: 'connections',
      found: `${connections} of ${maxConnections}`,
      problem:
        connections >= maxConnections * NEARLY_ALL
          ? 'Nearly all are taken: raise max_connections, or lower poolSize.'
          : undefined,
    },
    {
      what: 'oldest transaction',
      found: facts.oldestMs === null ? 'none is open, of those that this role sees' : `open for ${minutes} min`,
      problem:
        (facts.oldestMs ?? 0) > LONG_TRANSACTION_MS
          ? 'Nothing can be vacuumed that is younger, and claims become slow: find it in pg_stat_activity and end it.'
          : undefined,
    },
  ];
}
