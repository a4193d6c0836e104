import { runService } from '../platform/run-service';
import { ORDER } from './order.identity';
import { OrderModule } from './order.module';

void runService(ORDER, (settings) => OrderModule.with(settings));
