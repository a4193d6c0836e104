import { Injectable } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import { EntityManager, Repository } from 'typeorm';
import { TransactionContext } from '../../transaction/transaction-context';

/**
 * Lets the application's own repository classes take part in transactions. Their managers (`super(Order,
 * dataSource.createEntityManager())`) may have been created before this library could follow the DataSource.
 */
@Injectable()
export class RepositoriesExplorer {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly transactions: TransactionContext,
  ) {}

  explore(): void {
    for (const { instance } of this.discovery.getProviders() as InstanceWrapper<unknown>[]) {
      if (instance instanceof Repository) this.transactions.adopt(instance.manager);
      else if (instance instanceof EntityManager) this.transactions.adopt(instance);
    }
  }
}
