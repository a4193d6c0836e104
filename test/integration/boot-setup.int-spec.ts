import { Global, Injectable, Module } from '@nestjs/common';
import { getDataSourceToken } from '@nestjs/typeorm';
import {
  InvalidOptionsError,
  InvalidSetupError,
  ReliableEventHandler,
  UnsupportedDatabaseError,
} from 'nestjs-reliable-mq';
import { ThingDone, ThingDoneToo, useStarts } from './boot-harness';

describe('an application that is set up wrongly does not start', () => {
  const { failureOf, start } = useStarts();

  it('with wrong options: one error lists them all', async () => {
    const error = await failureOf([], { service: '', publish: { leaseMs: 1 }, consume: { prefech: 1 } as never });
    expect(error).toBeInstanceOf(InvalidOptionsError);
    expect(error.problems).toEqual([
      expect.stringMatching(/^service /) as string,
      expect.stringMatching(/^publish\.leaseMs /) as string,
      expect.stringMatching(/^Unknown option "consume\.prefech"; did you mean "consume\.prefetch"\?/) as string,
    ]);
    expect(error.message).toContain('its options have 3 problem(s)');
  });

  describe('without its DataSource', () => {
    it('which TypeOrmModule provides', async () => {
      const error = await failureOf([], {}, { dataSource: false });
      expect(error).toBeInstanceOf(InvalidSetupError);
      expect(error.message).toContain(
        'There is no TypeORM DataSource. Install @nestjs/typeorm and import TypeOrmModule.forRoot(',
      );
    });

    it('of the name that the module was given: each missing one is named', async () => {
      const error = await failureOf([], { dataSources: ['default', 'archive', 'audit'] });
      expect(error).toBeInstanceOf(InvalidSetupError);
      expect(error.problems).toEqual([
        expect.stringContaining('no TypeORM DataSource named "archive"') as string,
        expect.stringContaining('no TypeORM DataSource named "audit"') as string,
      ]);
    });

    it('because it was given none, or one twice', async () => {
      expect((await failureOf([], { dataSources: [] })).message).toContain('at least one DataSource');
      expect((await failureOf([], { dataSources: ['default', 'default'] })).message).toContain(
        'dataSources names "default" twice',
      );
    });

    it('in a supported database', async () => {
      @Global()
      @Module({
        providers: [{ provide: getDataSourceToken(), useValue: { options: { type: 'sqljs' } } }],
        exports: [getDataSourceToken()],
      })
      class Connections {}
      const error = await failureOf([], {}, { dataSource: false, imports: [Connections] });
      expect(error).toBeInstanceOf(UnsupportedDatabaseError);
      expect(error).toMatchObject({
        code: 'UNSUPPORTED_DATABASE',
        details: { driver: 'sqljs', dataSource: 'default' },
      });
    });
  });

  it('but versions of an event, and handlers with names of their own, go together', async () => {
    @Injectable()
    class Handlers {
      @ReliableEventHandler(ThingDone)
      async one(): Promise<void> {}

      @ReliableEventHandler(ThingDoneToo)
      async two(): Promise<void> {}

      @ReliableEventHandler(ThingDone, {
        consumer: 'shop.audit',
        prefetch: 1,
        timeoutMs: 1000,
        maxAttempts: 2,
        backoff: { maxMs: 10 },
      })
      async audit(): Promise<void> {}
    }
    const app = await start({ providers: [Handlers] });
    expect(app.broker.queueNames()).toEqual(
      expect.arrayContaining(['shop.thing.done', 'shop.audit.thing.done', 'shop.receipts.quorum']),
    );
    await app.close();
  });
});
