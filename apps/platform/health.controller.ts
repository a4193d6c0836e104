import { Controller, Get, ServiceUnavailableException } from '@nestjs/common';
import { type HealthReport, ReliableMqHealth } from 'nestjs-reliable-mq';

@Controller('health')
export class HealthController {
  constructor(private readonly health: ReliableMqHealth) {}

  /** 200, or 503 with the reasons: while the broker is away, orders are taken all the same, but go nowhere yet. */
  @Get()
  async check(): Promise<HealthReport> {
    const report = await this.health.check();
    if (!report.healthy) throw new ServiceUnavailableException(report);
    return report;
  }
}
