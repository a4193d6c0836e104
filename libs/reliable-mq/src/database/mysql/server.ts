import type { DataSource, QueryRunner } from 'typeorm';
import { STATEMENT_DEADLINE_MS } from '../acquire-query-runner';
import { InvalidSetupError } from '../../event/errors';
import type { DatabaseName } from '../port';
import { connectionOf, hasOwnFormat } from './connection';
import { onOwnConnection, queryOn } from './sql';
import { rememberDatabase } from './sql-names';

/** What statements and messages have to know of a DataSource's server. */
export interface Server {
  /** Which of the two answers, whatever `type` the DataSource has. */
  readonly kind: Extract<DatabaseName, 'mysql' | 'mariadb'>;
  readonly version: string;
  /** `max_allowed_packet`: the largest statement, in bytes. */
  readonly maxStatementBytes: number;
  /** How long a session, or on MariaDB its open transaction, may be idle, in seconds; 0: for ever. */
  readonly idleLimitSeconds: number;
  /** Whether connections lead to one session each: a proxy shows numbers of its own making. */
  readonly isDirect: boolean;
}

/** SKIP LOCKED, JSON, and keys that are compared byte by byte, also at their end. */
const FLOOR = { mysql: [8, 0, 17], mariadb: [10, 6, 0] } as const;
const PRODUCT = { mysql: 'MySQL', mariadb: 'MariaDB' } as const;

const known = new WeakMap<DataSource, Server>();

/** @throws Error before `learnAboutServer`, which is called at boot */
export function serverOf(dataSource: DataSource): Server {
  const server = known.get(dataSource);
  if (!server) throw new Error('the database was not opened');
  return server;
}

/** The server takes the next power of two, as it rounds what it is given down to a multiple of 1,024. */
export function raisePacketTo(bytes: number): string {
  return `SET GLOBAL max_allowed_packet = ${2 ** Math.ceil(Math.log2(bytes))}`;
}

type Variables = Readonly<Record<string, string | undefined>>;

const VARIABLES = [
  'version',
  'sql_mode',
  'autocommit',
  'completion_type',
  'tx_isolation',
  'transaction_isolation',
  'character_set_client',
  'character_set_results',
  'binlog_format',
  'log_bin',
  'max_allowed_packet',
  'idle_transaction_timeout',
  'wait_timeout',
];

/**
 * Learn what statements have to know of the server, and look at what would break a promise: it is refused by name, with what mends it.
 * @param name of the DataSource, for the message
 * @throws InvalidSetupError
 */
export async function learnAboutServer(dataSource: DataSource, name: string): Promise<Server> {
  const { variables, database, isDirect } = await onOwnConnection(dataSource, ask, STATEMENT_DEADLINE_MS);
  const version = variables['version'] ?? '';
  const kind = /mariadb/i.test(version) ? 'mariadb' : 'mysql';
  const problems = [
    ...problemsOfVersion(kind, version),
    ...problemsOfSettings(variables),
    ...(hasOwnFormat(dataSource)
      ? ['mysql2 must put values into statements itself: take `queryFormat` out of the `extra` of the DataSource.']
      : []),
    ...(database === null ? ['its sessions use no database: name one in the `database` of the DataSource.'] : []),
  ];
  if (problems.length > 0) {
    throw new InvalidSetupError(
      problems.map((problem) => `The database of DataSource "${name}" cannot be used: ${problem}`),
    );
  }
  if (database !== null) rememberDatabase(dataSource, database);
  const server: Server = {
    kind,
    version,
    maxStatementBytes: Number(variables['max_allowed_packet']),
    idleLimitSeconds: Number(variables[kind === 'mariadb' ? 'idle_transaction_timeout' : 'wait_timeout']),
    isDirect,
  };
  known.set(dataSource, server);
  return server;
}

async function ask(
  queryRunner: QueryRunner,
): Promise<{ variables: Variables; database: string | null; isDirect: boolean }> {
  const rows = await queryOn<{ Variable_name: string; Value: string }>(
    queryRunner,
    'SHOW SESSION VARIABLES WHERE Variable_name IN (?)',
    [VARIABLES],
  );
  const [session] = await queryOn<{ used: string | null; session_number: string }>(
    queryRunner,
    'SELECT DATABASE() AS used, CONNECTION_ID() AS session_number',
  );
  const { threadId } = await connectionOf(queryRunner);
  return {
    variables: Object.fromEntries(rows.map((row) => [row.Variable_name, row.Value])),
    database: session?.used ?? null,
    isDirect: Number(session?.session_number) === threadId,
  };
}

function problemsOfVersion(kind: Server['kind'], version: string): readonly string[] {
  const floor = FLOOR[kind];
  // A MariaDB that pretends to be an old MySQL, for replicas' sake, says its own version behind.
  const [, ...numbers] = /(?:^5\.5\.5-|^)(\d+)\.(\d+)\.(\d+)/.exec(version) ?? [];
  const at = floor.findIndex((wanted, index) => Number(numbers[index]) !== wanted);
  if (at < 0 || Number(numbers[at]) > (floor[at] ?? 0)) return [];
  return [`it is ${PRODUCT[kind]} ${version}, and ${PRODUCT[kind]} ${floor.join('.')} or later is needed.`];
}

/** Of the session as the application's pool has it. */
function problemsOfSettings(variables: Variables): readonly string[] {
  const is = (variable: string, pattern: RegExp): boolean => pattern.test(variables[variable] ?? '');
  const problems: string[] = [];
  if (!is('sql_mode', /STRICT_(TRANS|ALL)_TABLES/)) {
    problems.push(
      'its sql_mode is not strict, so that it cuts what does not fit, without an error. ' +
        "SET GLOBAL sql_mode = CONCAT_WS(',', @@GLOBAL.sql_mode, 'STRICT_TRANS_TABLES'), and start again.",
    );
  }
  if (is('sql_mode', /NO_BACKSLASH_ESCAPES/)) {
    problems.push(
      'its sql_mode has NO_BACKSLASH_ESCAPES, and mysql2 escapes values with backslashes. ' +
        "SET GLOBAL sql_mode = REPLACE(@@GLOBAL.sql_mode, 'NO_BACKSLASH_ESCAPES', ''), and start again.",
    );
  }
  if (!is('autocommit', /^(ON|1)$/)) {
    problems.push(
      'its autocommit is off, so that statements wait for a COMMIT. SET GLOBAL autocommit = 1, and start again.',
    );
  }
  if (!is('completion_type', /^(NO_CHAIN|0)$/)) {
    problems.push(
      "its completion_type begins a transaction, or ends the session, behind each COMMIT. SET GLOBAL completion_type = 'NO_CHAIN', and start again.",
    );
  }
  if (is('tx_isolation', /READ-UNCOMMITTED/) || is('transaction_isolation', /READ-UNCOMMITTED/)) {
    problems.push(
      'its transactions see what others have not committed. SET GLOBAL TRANSACTION ISOLATION LEVEL READ COMMITTED, or a stricter one, and start again.',
    );
  }
  if (!is('character_set_client', /^utf8mb4$/) || !is('character_set_results', /^(utf8mb4)?$/)) {
    problems.push(
      `its sessions speak ${variables['character_set_client'] ?? 'another character set'}, which has not all that Unicode has: TypeOrmModule.forRoot({ charset: 'utf8mb4' }).`,
    );
  }
  if (is('log_bin', /^(ON|1)$/) && is('binlog_format', /^STATEMENT$/)) {
    problems.push(
      "its binary log keeps statements, which READ COMMITTED cannot be logged by. SET GLOBAL binlog_format = 'ROW', and start again.",
    );
  }
  return problems;
}
