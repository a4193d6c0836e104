import type { DataSource } from 'typeorm';
import type { Owners } from '../claim-ownership';
import { queryAlone } from './sql';
import { sqlNamesOf } from './sql-names';

export function ownersOf(dataSource: DataSource): Owners {
  const names = sqlNamesOf(dataSource);
  const owners = names.table('owner');
  return {
    separatedBy: 'schema',
    tableOf: (part) => names.table(part),
    of: async (part) => {
      const sql = `SELECT service FROM ${owners} WHERE part = $1`;
      const [row] = await queryAlone<{ service: string }>(dataSource, sql, [part]);
      return row?.service;
    },
    add: async (part, service) => {
      const sql = `INSERT INTO ${owners} (part, service) VALUES ($1, $2) ON CONFLICT DO NOTHING`;
      await queryAlone(dataSource, sql, [part, service]);
    },
    renaming: (part, service) => `UPDATE ${owners} SET service = ${literal(service)} WHERE part = ${literal(part)}`,
  };
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
