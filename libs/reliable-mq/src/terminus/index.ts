export { ReliableMqHealthIndicator } from './reliable-mq.health';
