import { hrefOf, parseRoute, without } from './route';

describe('the URL of a place in the console', () => {
  it.each([
    ['', { page: 'now', params: {} }],
    ['#/', { page: 'now', params: {} }],
    ['#/events?status=dead&type=order.created', { page: 'events', params: { status: 'dead', type: 'order.created' } }],
    ['#/journey?of=A%2F1%20%26%3F%23', { page: 'journey', params: { of: 'A/1 &?#' } }],
    ['#/journey?of=a?b', { page: 'journey', params: { of: 'a?b' } }],
    ['#/events?status=', { page: 'events', params: {} }],
    ['#/nowhere?status=dead', { page: 'now', params: {} }],
    ['#/__proto__', { page: 'now', params: {} }],
  ])('%s is read', (hash, route) => {
    expect(parseRoute(hash)).toEqual(route);
  });

  it('is one for one place, whatever the order, and without what is empty', () => {
    expect(hrefOf('events', { type: 'a b', status: 'dead', key: '', source: undefined })).toBe(
      '#/events?status=dead&type=a+b',
    );
    expect(hrefOf('now')).toBe('#/now');
  });

  it('comes back as it was written', () => {
    const params = { of: '订单 #7 <b>&=?+%' };
    expect(parseRoute(hrefOf('journey', params))).toEqual({ page: 'journey', params });
  });

  it('can leave the cursor out', () => {
    expect(without({ before: 'x', status: 'dead' }, 'before')).toEqual({ status: 'dead' });
  });
});
