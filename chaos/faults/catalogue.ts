import type { DatabaseKind } from '../database';
import { COMPENSATION_FAULTS } from './compensations';
import type { FaultKind } from './fault';
import { HANDLER_FAULTS } from './handlers';
import { MARIADB_FAULTS } from './mariadb';
import { MESSAGE_FAULTS } from './messages';
import { NETWORK_FAULTS } from './network';
import { POSTGRES_FAULTS } from './postgres';
import { PROCESS_FAULTS } from './processes';
import { RABBITMQ_FAULTS } from './rabbitmq';
import { STEP_FAULTS } from './steps';

const OF_DATABASES: Readonly<Record<DatabaseKind, readonly FaultKind[]>> = {
  postgres: POSTGRES_FAULTS,
  mariadb: MARIADB_FAULTS,
};

/** Every kind of fault that a landscape with this database may have. */
export function catalogueOf(database: DatabaseKind): readonly FaultKind[] {
  return [
    ...PROCESS_FAULTS,
    ...STEP_FAULTS,
    ...RABBITMQ_FAULTS,
    ...OF_DATABASES[database],
    ...NETWORK_FAULTS,
    ...MESSAGE_FAULTS,
    ...HANDLER_FAULTS,
    ...COMPENSATION_FAULTS,
  ];
}
