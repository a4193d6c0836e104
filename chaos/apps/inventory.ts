import 'reflect-metadata';
import { INVENTORY } from '../../apps/inventory/inventory.identity';
import { InventoryModule } from '../../apps/inventory/inventory.module';
import { runSabotaged } from './sabotage';

runSabotaged(INVENTORY, (settings) => InventoryModule.with(settings));
