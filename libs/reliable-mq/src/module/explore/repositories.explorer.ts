import type { DiscoveryService } from '@nestjs/core';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper';
import { EntityManager, Repository } from 'typeorm';
import type { TransactionContext } from '../../transaction/transaction-context';

/**
 * Let the application's own repository classes take part in transactions. Their managers (`super(Order,
 * dataSource.createEntityManager())`) may have been created before this library could follow the DataSource.
 */
export function exploreRepositories(discovery: DiscoveryService, transactions: TransactionContext): void {
  for (const { instance } of discovery.getProviders() as InstanceWrapper<unknown>[]) {
    if (instance instanceof Repository) transactions.adopt(instance.manager);
    else if (instance instanceof EntityManager) transactions.adopt(instance);
  }
}
