import 'reflect-metadata';
import { ORDER } from '../../apps/order/order.identity';
import { OrderModule } from '../../apps/order/order.module';
import { runSabotaged } from './sabotage';

runSabotaged(ORDER, (settings) => OrderModule.with(settings));
