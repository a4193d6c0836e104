import { EXCHANGE, ORDER_SERVICE } from '../contracts/services';
import type { ServiceIdentity } from '../platform/settings';

export const ORDER: ServiceIdentity = {
  name: 'order',
  defaultPort: 3001,
  mqService: ORDER_SERVICE,
  exchange: EXCHANGE,
  looksAt: ['inventory'],
};
