import type { DataSource } from 'typeorm';
import type { Owners } from '../claim-ownership';
import { queryAlone, writeAlone } from './sql';
import { sqlNamesOf } from './sql-names';
import { NOW } from './values';

export function ownersOf(dataSource: DataSource): Owners {
  const names = sqlNamesOf(dataSource);
  const owners = names.table('owner');
  return {
    separatedBy: 'database',
    tableOf: (part) => names.table(part),
    of: async (part) => {
      const sql = `SELECT service FROM ${owners} WHERE part = ?`;
      const [row] = await queryAlone<{ service: string }>(dataSource, sql, [part]);
      return row?.service;
    },
    add: async (part, service) => {
      const sql = `INSERT IGNORE INTO ${owners} (part, service, since) VALUES (?, ?, ${NOW})`;
      await writeAlone(dataSource, sql, [part, service]);
    },
    renaming: (part, service) => `UPDATE ${owners} SET service = ${literal(service)} WHERE part = ${literal(part)}`,
  };
}

function literal(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}
