import { EXCHANGE, INVENTORY_SERVICE } from '../contracts/services';
import type { ServiceIdentity } from '../platform/settings';

export const INVENTORY: ServiceIdentity = {
  name: 'inventory',
  defaultPort: 3002,
  mqService: INVENTORY_SERVICE,
  exchange: EXCHANGE,
};
