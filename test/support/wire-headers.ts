/**
 * Headers of the library's messages, as other services and other versions of the library know them. Written out here and not
 * imported: a name that changes must fail the tests.
 */
export const HEADER = {
  /** Version of the payload's form; also the sign that the message comes from the library. */
  version: 'reliable-mq-version',
  /** Name of the producer's DataSource, which a receipt gives back. */
  source: 'reliable-mq-source',
  /** Number of the attempt to publish. */
  attempt: 'reliable-mq-attempt',
  /** How often a person has sent the dead event again. */
  redrives: 'reliable-mq-redrives',
  /** On a parked message: why it was put aside. */
  reason: 'reliable-mq-reason',
  /** On a parked message: by whom. */
  consumer: 'reliable-mq-consumer',
} as const;
