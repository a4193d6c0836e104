import { propagation, ROOT_CONTEXT, trace, TraceFlags } from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { linkTo, recordedIn } from './recorded-in';

const RECORDED = { traceId: '1'.repeat(32), spanId: '2'.repeat(16), traceFlags: TraceFlags.SAMPLED };
const SENT = `00-${'3'.repeat(32)}-${'4'.repeat(16)}-01`;

describe('the context in which an event was recorded', () => {
  beforeAll(() => {
    propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  });
  afterAll(() => {
    propagation.disable();
  });

  const headers = (): Record<string, unknown> => ({ ...recordedIn(trace.setSpanContext(ROOT_CONTEXT, RECORDED)) });

  it('is what a message links to, also when its client was instrumented and has written where it was sent', () => {
    expect(headers()).toMatchObject({ traceparent: `00-${RECORDED.traceId}-${RECORDED.spanId}-01` });
    expect(linkTo({ ...headers(), traceparent: SENT })?.context).toMatchObject(RECORDED);
  });

  it('is that of `traceparent` in a message of somebody else', () => {
    expect(linkTo({ traceparent: SENT })?.context).toMatchObject({ traceId: '3'.repeat(32), spanId: '4'.repeat(16) });
  });

  it.each([
    {},
    { traceparent: 7, 'recorded-traceparent': {} },
    { traceparent: 'no', 'recorded-traceparent': '00-1-2-01' },
    { 'recorded-traceparent': `00-${'0'.repeat(32)}-${'2'.repeat(16)}-01` },
  ])('is unknown where nobody has said it well: %j', (said) => {
    expect(linkTo(said)).toBeUndefined();
  });

  it('is nothing without an SDK', () => {
    expect(recordedIn(ROOT_CONTEXT)).toEqual({});
  });
});
