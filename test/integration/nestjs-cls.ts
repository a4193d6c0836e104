import { type DynamicModule, Module } from '@nestjs/common';
import { getDataSourceToken, TypeOrmModule } from '@nestjs/typeorm';
import { ClsPluginTransactional } from '@nestjs-cls/transactional';
import { TransactionalAdapterTypeOrm } from '@nestjs-cls/transactional-adapter-typeorm';
import { ClsModule } from 'nestjs-cls';

@Module({ imports: [TypeOrmModule] })
class Connections {}

/** nestjs-cls with its transactions on the default DataSource, as an application imports it. */
export function nestjsCls(): DynamicModule {
  const adapter = new TransactionalAdapterTypeOrm({ dataSourceToken: getDataSourceToken() });
  const plugins = [new ClsPluginTransactional({ imports: [Connections], adapter })];
  return ClsModule.forRoot({ global: true, plugins });
}
