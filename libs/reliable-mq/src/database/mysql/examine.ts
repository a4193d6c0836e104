import type { DataSource } from 'typeorm';
import type { Examined } from '../port';
import { serverOf } from './server';
import { queryAlone } from './sql';

/** Of `max_connections`. */
const NEARLY_ALL = 0.9;
const VARIABLES = ['innodb_flush_log_at_trx_commit', 'log_bin', 'sync_binlog', 'read_only', 'max_connections'];

/** What the promises rest on at the server, beside what `learnAboutServer` refuses. */
export async function examine(dataSource: DataSource): Promise<readonly Examined[]> {
  const rows = await queryAlone<{ Variable_name: string; Value: string }>(
    dataSource,
    'SHOW GLOBAL VARIABLES WHERE Variable_name IN (?)',
    [VARIABLES],
  );
  const [threads] = await queryAlone<{ Value: string }>(dataSource, "SHOW GLOBAL STATUS LIKE 'Threads_connected'");
  const values = new Map(rows.map(({ Variable_name, Value }) => [Variable_name, Value]));
  const valueOf = (name: string): string => values.get(name) ?? 'not known';
  const { kind, version, maxStatementBytes } = serverOf(dataSource);
  const [connections, most] = [Number(threads?.Value), Number(values.get('max_connections'))];
  const flush = valueOf('innodb_flush_log_at_trx_commit');
  const isLogged = /^(ON|1)$/.test(valueOf('log_bin'));
  const isReadOnly = /^(ON|1)$/.test(valueOf('read_only'));
  return [
    { what: 'version', found: `${kind === 'mariadb' ? 'MariaDB' : 'MySQL'} ${version}` },
    {
      what: 'writes',
      found: isReadOnly ? 'it takes none' : 'it takes writes',
      problem: isReadOnly ? 'It is a replica, or read-only: connect to the primary.' : undefined,
    },
    {
      what: 'innodb_flush_log_at_trx_commit',
      found: flush,
      problem: flush === '1' ? undefined : 'A commit that was answered may be lost with the server: set it to 1.',
    },
    {
      what: 'sync_binlog',
      found: isLogged ? valueOf('sync_binlog') : 'there is no binary log',
      problem:
        isLogged && valueOf('sync_binlog') !== '1'
          ? 'What a replica gets may lack commits that were answered: set it to 1.'
          : undefined,
    },
    { what: 'max_allowed_packet', found: `${maxStatementBytes} bytes` },
    {
      what: 'connections',
      found: `${connections} of ${most}`,
      problem:
        connections >= most * NEARLY_ALL
          ? 'Nearly all are taken: raise max_connections, or lower poolSize.'
          : undefined,
    },
  ];
}
