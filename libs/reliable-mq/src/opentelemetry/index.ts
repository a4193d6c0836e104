export { ReliableMqOpenTelemetryModule } from './opentelemetry.module';
