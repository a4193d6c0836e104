import { describeEachDatabase } from '../support/each-database';
import { type Answer, TwoServices } from './two-services';

interface Refusal {
  readonly message: string | string[];
}

describeEachDatabase('the order and the inventory service', (database) => {
  let services: TwoServices;

  beforeAll(async () => {
    services = await TwoServices.prepare(database);
    await Promise.all([services.start('order'), services.start('inventory')]);
  });

  afterAll(() => services.dispose());

  it('confirms an order and takes its stock', async () => {
    await services.stock('mug', 5);
    const placed = await services.tryToPlace({ sku: 'mug', quantity: 2 });
    expect(placed).toEqual({
      code: 201,
      body: { id: expect.any(String) as string, sku: 'mug', quantity: 2, status: 'PENDING' },
    });
    const { id } = placed.body;
    await expect(services.decided(id)).resolves.toEqual({
      id,
      sku: 'mug',
      quantity: 2,
      status: 'CONFIRMED',
      reason: null,
    });
    await expect(services.get('inventory', '/stock/mug')).resolves.toEqual({
      code: 200,
      body: { sku: 'mug', available: 3, deducted: 2 },
    });
    await expect(services.get('inventory', '/stock/mug/deductions')).resolves.toEqual({
      code: 200,
      body: [{ orderId: id, quantity: 2 }],
    });
  });

  it("has an order's number and what caused what in both services' tables", async () => {
    await services.stock('pen', 5);
    const id = await services.place('pen', 1);
    await services.decided(id);
    const ofOrder = (row: { readonly event_key: string | null }): boolean => row.event_key === id;
    const [created, ...more] = (await services.database('order').outbox()).filter(ofOrder);
    expect([created, more]).toMatchObject([{ type: 'order.created', causation_id: null }, []]);
    const [deducted] = (await services.database('inventory').outbox()).filter(ofOrder);
    expect(deducted).toMatchObject({ type: 'inventory.deducted', causation_id: created?.id });
    expect((await services.database('inventory').inbox()).filter(ofOrder)).toMatchObject([
      { event_id: created?.id, type: 'order.created', status: 'handled' },
    ]);
    expect((await services.database('order').inbox()).filter(ofOrder)).toMatchObject([
      { event_id: deducted?.id, type: 'inventory.deducted', status: 'handled' },
    ]);
  });

  it('fails an order for which there is not enough stock, with the reason, and takes nothing', async () => {
    await services.stock('lamp', 2);
    const order = await services.decided(await services.place('lamp', 3));
    expect(order).toMatchObject({ status: 'FAILED', reason: 'not enough stock of lamp: 3 wanted, 2 available' });
    const { body } = await services.get('inventory', '/stock/lamp');
    expect(body).toEqual({ sku: 'lamp', available: 2, deducted: 0 });
  });

  it('fails an order for an article that does not exist', async () => {
    const order = await services.decided(await services.place('ghost', 1));
    expect(order).toMatchObject({ status: 'FAILED', reason: 'unknown sku ghost' });
    await expect(services.get('inventory', '/stock/ghost')).resolves.toMatchObject({ code: 404 });
    await expect(services.get('inventory', '/stock/ghost/deductions')).resolves.toEqual({ code: 200, body: [] });
  });

  it('sells the last pieces to as many orders as there are pieces', async () => {
    await services.stock('rare', 7);
    await Promise.all(Array.from({ length: 20 }, () => services.place('rare', 1)));
    await services.quiet();
    const { body } = await services.get('inventory', '/stock/rare');
    expect(body).toEqual({ sku: 'rare', available: 0, deducted: 7 });
    const deductions = await services.get<unknown[]>('inventory', '/stock/rare/deductions');
    expect(deductions.body).toHaveLength(7);
  });

  it.each([
    ['nothing', {}],
    ['a quantity of 0', { sku: 'mug', quantity: 0 }],
    ['half a piece', { sku: 'mug', quantity: 0.5 }],
    ['a quantity in words', { sku: 'mug', quantity: '2' }],
    ['more than anybody needs', { sku: 'mug', quantity: 1_000_000_001 }],
    ['a sku with a space', { sku: 'a mug', quantity: 1 }],
    ['a sku without end', { sku: 'm'.repeat(65), quantity: 1 }],
    ['a sku that is no text', { sku: { $ne: '' }, quantity: 1 }],
    ['a status of the caller', { sku: 'mug', quantity: 1, status: 'CONFIRMED' }],
    ['a list', [{ sku: 'mug', quantity: 1 }]],
    ['broken JSON', '{"sku": "mug",'],
  ])('refuses an order of %s with 400 and says why', async (_, body) => {
    const before = await services.get('order', '/orders/summary');
    const { code, body: answer }: Answer<Refusal> = await services.post('order', '/orders', body);
    expect(code).toBe(400);
    expect(answer.message.length).toBeGreaterThan(0);
    await expect(services.get('order', '/orders/summary')).resolves.toEqual(before);
  });

  it.each([{}, { quantity: -1 }, { quantity: 1.5 }, { quantity: 'many' }, { quantity: 1, sku: 'other' }])(
    'refuses a stock of %j with 400',
    async (body) => {
      await expect(services.put('inventory', '/stock/mug', body)).resolves.toMatchObject({ code: 400 });
    },
  );

  it.each(['0199b1f0-0000-7000-8000-000000000000', 'no-uuid', '1'])('answers 404 for order %s', async (id) => {
    await expect(services.get('order', `/orders/${id}`)).resolves.toMatchObject({ code: 404 });
  });

  it('accepts orders without the broker, says 503, and confirms them when it is back', async () => {
    await services.stock('patience', 10);
    await services.proxy.cut();
    const ids = await Promise.all(Array.from({ length: 5 }, () => services.place('patience', 1)));
    const health = await services.get<{ reasons: string[] }>('order', '/health');
    expect(health.code).toBe(503);
    expect(health.body.reasons.join()).toMatch(/^broker: not connected to amqp:\/\/[^,]*/);
    expect(health.body.reasons.join()).not.toContain('guest:guest');
    await services.proxy.restore();
    for (const id of ids) await expect(services.decided(id)).resolves.toMatchObject({ status: 'CONFIRMED' });
    await expect(services.get('order', '/health')).resolves.toEqual({
      code: 200,
      body: { healthy: true, status: 'up', reasons: [] },
    });
    await expect(services.get('inventory', '/health')).resolves.toMatchObject({ code: 200 });
  });

  it('counts its orders, and the books agree', async () => {
    await services.quiet();
    const verdict = await services.audit();
    expect(verdict).toMatchObject({ lost: 0, duplicated: 0, findings: [] });
    await expect(services.get('order', '/orders/summary')).resolves.toEqual({
      code: 200,
      body: { PENDING: 0, CONFIRMED: verdict.confirmed, FAILED: verdict.failed },
    });
  });
});
