import { COMPENSATION_FAULTS } from './compensations';
import type { FaultKind } from './fault';
import { HANDLER_FAULTS } from './handlers';
import { MESSAGE_FAULTS } from './messages';
import { NETWORK_FAULTS } from './network';
import { POSTGRES_FAULTS } from './postgres';
import { PROCESS_FAULTS } from './processes';
import { RABBITMQ_FAULTS } from './rabbitmq';
import { STEP_FAULTS } from './steps';

export const CATALOGUE: readonly FaultKind[] = [
  ...PROCESS_FAULTS,
  ...STEP_FAULTS,
  ...RABBITMQ_FAULTS,
  ...POSTGRES_FAULTS,
  ...NETWORK_FAULTS,
  ...MESSAGE_FAULTS,
  ...HANDLER_FAULTS,
  ...COMPENSATION_FAULTS,
];
