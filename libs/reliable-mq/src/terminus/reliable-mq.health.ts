import { Injectable } from '@nestjs/common';
import { type HealthIndicatorResult, HealthIndicatorService } from '@nestjs/terminus';
import { ReliableMqHealth } from '../operate/reliable-mq-health';

/**
 * What `ReliableMqHealth` finds, for a health controller of `@nestjs/terminus`. List it in the `providers` of the module that has the
 * controller:
 * `@Get() @HealthCheck() check() { return this.health.check([() => this.reliableMq.isHealthy()]); }`
 */
@Injectable()
export class ReliableMqHealthIndicator {
  constructor(
    private readonly health: ReliableMqHealth,
    private readonly indicators: HealthIndicatorService,
  ) {}

  /**
   * `down` while a database is away, or the application is not started or stops: it can't do its business then. `up` with
   * `degraded: true` and the reasons while the broker is away, or nobody consumes a queue that events wait for: business goes on, and
   * events wait. Takes at most 3 seconds.
   */
  async isHealthy<const Key extends string = 'reliable-mq'>(
    key: Key = 'reliable-mq' as Key,
  ): Promise<HealthIndicatorResult<Key>> {
    const { status, reasons } = await this.health.check();
    const session = this.indicators.check(key);
    if (status === 'down') return session.down({ reasons });
    return status === 'degraded' ? session.up({ degraded: true, reasons }) : session.up();
  }
}
