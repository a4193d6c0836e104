import type { DataSource } from 'typeorm';
import { InvalidSetupError } from '../../event/errors';
import type { OwnedPart } from '../port';
import { queryAlone } from './sql';
import { sqlNamesOf } from './sql-names';

/** @returns the service that has it; undefined: none yet */
export async function ownerOf(dataSource: DataSource, part: OwnedPart): Promise<string | undefined> {
  const owners = sqlNamesOf(dataSource).table('owner');
  const sql = `SELECT service FROM ${owners} WHERE part = $1`;
  const [row] = await queryAlone<{ service: string }>(dataSource, sql, [part]);
  return row?.service;
}

/**
 * Let a part of the tables belong to a service, for good: the first one that asks has it.
 * @throws InvalidSetupError when it belongs to another, with the ways out
 */
export async function claimOwnership(dataSource: DataSource, part: OwnedPart, service: string): Promise<void> {
  const owners = sqlNamesOf(dataSource).table('owner');
  let owner = await ownerOf(dataSource, part);
  if (owner === undefined) {
    const claim = `INSERT INTO ${owners} (part, service) VALUES ($1, $2) ON CONFLICT DO NOTHING`;
    await queryAlone(dataSource, claim, [part, service]);
    owner = await ownerOf(dataSource, part);
  }
  if (owner === undefined || owner === service) return;
  const table = sqlNamesOf(dataSource).table(part);
  throw new InvalidSetupError([
    `The table ${table} belongs to service "${owner}", and this application is "${service}". Two services that share it would ` +
      `publish, retry and prune each other's rows. Give this one tables of its own: a \`schema\` or an \`entityPrefix\` in its DataSource. ` +
      `If "${owner}" is now called "${service}": stop all its instances, run ` +
      `UPDATE ${owners} SET service = ${literal(service)} WHERE part = ${literal(part)}; and start them again.`,
  ]);
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
