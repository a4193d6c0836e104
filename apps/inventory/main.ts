import { runService } from '../platform/run-service';
import { INVENTORY } from './inventory.identity';
import { InventoryModule } from './inventory.module';

void runService(INVENTORY, (settings) => InventoryModule.with(settings));
