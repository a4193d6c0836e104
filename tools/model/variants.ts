/** One question to the model checker. */
export interface Variant {
  /** What the reader is told: the scope, or the guard that is taken out. */
  readonly name: string;
  /** `-D` switches of docs/model/reliable-mq.pml. */
  readonly switches: readonly string[];
  readonly property: Property;
  /** `holds`: no counterexample among all reachable states; `broken`: a counterexample is found. */
  readonly expected: 'holds' | 'broken';
}

/** The promises that are assertions, by the name and number they have in the model. */
export const PROMISES = {
  ATOMIC_RECORD: 1,
  NO_PHANTOM: 2,
  NO_STUCK_ROW: 3,
  EFFECT_ONCE: 4,
  STALE_CLAIM: 5,
  END_IS_FINAL: 6,
  COMPENSATED_ONCE: 7,
  CONSUMED_IS_TRUE: 8,
  DEAD_OF_THIS_LIFE: 9,
  DEAD_IS_TRUE: 10,
} as const;

export type Property =
  /** Every assertion, and the formula known_end: one search answers for all, because its automaton never blocks. */
  | { readonly kind: 'everything' }
  | { readonly kind: 'promise'; readonly promise: keyof typeof PROMISES }
  | { readonly kind: 'formula'; readonly formula: 'known_end' | 'never_consumed' | 'never_compensated' };

const EVERYTHING: Property = { kind: 'everything' };
const KNOWN_END: Property = { kind: 'formula', formula: 'known_end' };

const TWO_INSTANCES = ['FAULTS=2'];
const TWO_CONSUMERS = ['FAULTS=1', 'CONSUMERS=2', 'INSTANCES=1', 'MAX_HANDLINGS=1'];
const REDRIVEN = ['FAULTS=1', 'REDRIVES=1', 'INSTANCES=1', 'MAX_HANDLINGS=1'];
const REDRIVEN_TWO_INSTANCES = ['FAULTS=0', 'REDRIVES=1', 'MAX_HANDLINGS=1'];
const KILLER = ['FAULTS=2', 'POISON'];
const CONSUMER_DOWN = ['FAULTS=3', 'CONSUMER_DOWN'];

/** Whole scopes: nothing may be found. The longest come first, so that both processors are busy to the end. */
const SCOPES: readonly Variant[] = [
  holds('one consumer, two instances', TWO_INSTANCES, EVERYTHING),
  holds('two consumers', TWO_CONSUMERS, EVERYTHING),
  holds('redriven by a person', REDRIVEN, EVERYTHING),
  holds('redriven, two instances, no faults', REDRIVEN_TWO_INSTANCES, EVERYTHING),
  holds('a handler that kills its process', KILLER, EVERYTHING),
  holds('no consumer is running', CONSUMER_DOWN, EVERYTHING),
];

/** The model can do what it speaks of: "it never does" is refuted. */
const REACHABLE: readonly Variant[] = [
  broken('an event is consumed', ['FAULTS=0'], { kind: 'formula', formula: 'never_consumed' }),
  broken('an event is compensated', ['FAULTS=0'], { kind: 'formula', formula: 'never_compensated' }),
  broken('a killer is compensated', KILLER, { kind: 'formula', formula: 'never_compensated' }),
  broken('a redriven event is consumed', [...REDRIVEN, 'ONLY_REDRIVEN'], {
    kind: 'formula',
    formula: 'never_consumed',
  }),
];

/** Each guard is needed: without it a promise breaks. */
const GUARDS: readonly Variant[] = [
  broken('record outside the transaction', ['INSERT_OUTSIDE_THE_TRANSACTION'], promise('ATOMIC_RECORD')),
  broken('publish before the commit', ['PUBLISH_BEFORE_COMMIT'], promise('NO_PHANTOM')),
  broken('no conditional settle', ['NO_CONDITIONAL_SETTLE'], promise('END_IS_FINAL')),
  broken('no claim token in settle', ['NO_TOKEN'], promise('STALE_CLAIM')),
  broken('no claim token in compensation', ['NO_COMPENSATION_TOKEN'], promise('COMPENSATED_ONCE')),
  broken('no inbox', ['NO_INBOX'], promise('EFFECT_ONCE')),
  broken('no claim token in the inbox', ['NO_INBOX_TOKEN'], promise('EFFECT_ONCE')),
  broken('no publishing of what is due', ['FAULTS=1', 'NO_PUBLISH_DUE'], KNOWN_END),
  broken('no chase', ['FAULTS=1', 'NO_CHASE'], KNOWN_END),
  broken('no retry of failed handlings', ['FAULTS=1', 'NO_RETRY_JOB'], KNOWN_END),
  broken('no compensation job', ['FAULTS=1', 'NO_COMPENSATION_JOB'], KNOWN_END),
  broken('no give-up', [...CONSUMER_DOWN, 'NO_GIVE_UP'], KNOWN_END),
  broken('no quarantine', [...KILLER, 'NO_QUARANTINE'], KNOWN_END),
  broken('redrive does not look at the outcomes', [...REDRIVEN, 'REDRIVE_WITHOUT_JUDGEMENT'], promise('DEAD_IS_TRUE')),
  broken('nor does publishing to nobody end', [...REDRIVEN, 'REDRIVE_WITHOUT_JUDGEMENT', 'WAIT_FOR_NOBODY'], KNOWN_END),
  broken('receipts do not tell the redrives', [...REDRIVEN, 'RECEIPTS_WITHOUT_LIFE'], promise('DEAD_OF_THIS_LIFE')),
];

/** A second lock on the same door: the token alone would do, because whoever ends an event takes its token away. */
const SPARE: readonly Variant[] = [holds('no status check in settle', ['FAULTS=1', 'NO_STATUS_GUARD'], EVERYTHING)];

export const VARIANTS: readonly Variant[] = [...SCOPES, ...REACHABLE, ...GUARDS, ...SPARE];

function holds(name: string, switches: readonly string[], property: Property): Variant {
  return { name, switches, property, expected: 'holds' };
}

function broken(name: string, switches: readonly string[], property: Property): Variant {
  return { name, switches, property, expected: 'broken' };
}

function promise(name: keyof typeof PROMISES): Property {
  return { kind: 'promise', promise: name };
}

export function propertyName(property: Property): string {
  if (property.kind === 'promise') return property.promise;
  return property.kind === 'formula' ? property.formula : 'every promise, known_end';
}
