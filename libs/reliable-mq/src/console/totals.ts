import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { ReliableMqHooks } from '../operate/reliable-mq-hooks';
import type { Total } from './api';

/** What this process has done since it started. */
@Injectable()
export class Totals implements OnModuleInit, OnApplicationShutdown {
  private readonly counts: Record<Total, number> = {
    recorded: 0,
    published: 0,
    consumed: 0,
    dead: 0,
    handled: 0,
    handlingFailed: 0,
    duplicate: 0,
  };
  private end: (() => void) | undefined;

  constructor(private readonly modules: ModuleRef) {}

  get all(): Readonly<Record<Total, number>> {
    return { ...this.counts };
  }

  onModuleInit(): void {
    this.end = this.modules.get(ReliableMqHooks, { strict: false }).add({
      committed: (events) => this.count('recorded', events.length),
      confirmed: ({ outcome }) => {
        if (outcome === 'routed') this.count('published');
      },
      consumed: () => this.count('consumed'),
      dead: () => this.count('dead'),
      handled: () => this.count('handled'),
      handlingFailed: () => this.count('handlingFailed'),
      duplicate: () => this.count('duplicate'),
    });
  }

  onApplicationShutdown(): void {
    this.end?.();
  }

  private count(total: Total, by = 1): void {
    this.counts[total] += by;
  }
}
