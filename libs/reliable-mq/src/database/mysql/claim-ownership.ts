import type { DataSource } from 'typeorm';
import { InvalidSetupError } from '../../event/errors';
import type { OwnedPart } from '../port';
import { queryAlone, writeAlone } from './sql';
import { sqlNamesOf } from './sql-names';
import { NOW } from './values';

/**
 * Let a part of the tables belong to a service, for good: the first one that asks has it.
 * @throws InvalidSetupError when it belongs to another, with the ways out
 */
export async function claimOwnership(dataSource: DataSource, part: OwnedPart, service: string): Promise<void> {
  const owners = sqlNamesOf(dataSource).table('owner');
  const read = `SELECT service FROM ${owners} WHERE part = ?`;
  let [row] = await queryAlone<{ service: string }>(dataSource, read, [part]);
  if (!row) {
    const claim = `INSERT IGNORE INTO ${owners} (part, service, since) VALUES (?, ?, ${NOW})`;
    await writeAlone(dataSource, claim, [part, service]);
    [row] = await queryAlone<{ service: string }>(dataSource, read, [part]);
  }
  if (!row || row.service === service) return;
  const table = sqlNamesOf(dataSource).table(part);
  throw new InvalidSetupError([
    `The table ${table} belongs to service "${row.service}", and this application is "${service}". Two services that share it would ` +
      `publish, retry and prune each other's rows. Give this one tables of its own: a \`database\` or an \`entityPrefix\` in its DataSource. ` +
      `If "${row.service}" is now called "${service}": stop all its instances, run ` +
      `UPDATE ${owners} SET service = ${literal(service)} WHERE part = ${literal(part)}; and start them again.`,
  ]);
}

function literal(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}
