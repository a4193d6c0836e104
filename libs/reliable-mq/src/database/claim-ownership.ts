import { InvalidSetupError } from '../event/errors';
import type { OwnedPart } from './port';

/** What one database's table of owners takes. */
export interface Owners {
  /** @returns the service that has the part; undefined: none yet */
  of(part: OwnedPart): Promise<string | undefined>;
  /** Does nothing to a part that has one. */
  add(part: OwnedPart, service: string): Promise<void>;
  /** The table of the part, as statements name it. */
  tableOf(part: OwnedPart): string;
  /** The statement for a person who has given the service another name. */
  renaming(part: OwnedPart, service: string): string;
  /** What of a DataSource gives it tables of its own, beside `entityPrefix`. */
  readonly separatedBy: 'database' | 'schema';
}

/**
 * Let a part of the tables belong to a service, for good: the first one that asks has it.
 * @throws InvalidSetupError when it belongs to another, with the ways out
 */
export async function claimOwnership(owners: Owners, part: OwnedPart, service: string): Promise<void> {
  let owner = await owners.of(part);
  if (owner === undefined) {
    await owners.add(part, service);
    owner = await owners.of(part);
  }
  if (owner === undefined || owner === service) return;
  throw new InvalidSetupError([
    `The table ${owners.tableOf(part)} belongs to service "${owner}", and this application is "${service}". Two services that share it would ` +
      `publish, retry and prune each other's rows. Give this one tables of its own: a \`${owners.separatedBy}\` or an \`entityPrefix\` in its DataSource. ` +
      `If "${owner}" is now called "${service}": stop all its instances, run ${owners.renaming(part, service)}; and start them again.`,
  ]);
}
