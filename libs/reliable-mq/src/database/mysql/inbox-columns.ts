import type { DataSource } from 'typeorm';
import { storableJson } from '../../event/storable';
import type { InboxKey, InboxMessage, MessageIdentity } from '../../inbox/inbox.store';
import { StatementTooLargeError } from '../port';
import { raisePacketTo, serverOf } from './server';

/** The row of one handling: the primary key. */
export const KEY = 'event_id = ? AND consumer = ? AND type = ?';
/** Columns of the values that `identityColumns` and `messageColumns` return. */
export const IDENTITY = 'event_id, consumer, type, version, redrives, body_hash, event_key';
export const MESSAGE = `${IDENTITY}, body, properties`;

/** What a statement takes beside the message, in bytes: its text, and what is short. */
const ROOM_BYTES = 16 * 1024;

export function keyColumns({ eventId, consumer, type }: InboxKey): [eventId: string, consumer: string, type: string] {
  return [eventId, consumer, type];
}

export function identityColumns(key: InboxKey, message: MessageIdentity): unknown[] {
  return [...keyColumns(key), message.version, message.redrives, message.bodyHash, message.key];
}

/** @throws StatementTooLargeError before anything is sent, when the server takes no statement as large as the message needs */
export function messageColumns(dataSource: DataSource, key: InboxKey, message: InboxMessage): unknown[] {
  const properties = storableJson(message.properties);
  const { maxStatementBytes } = serverOf(dataSource);
  // The properties may stand in it twice, and a quote in them takes two bytes.
  const bytes = message.body.length + 4 * Buffer.byteLength(properties) + ROOM_BYTES;
  if (bytes > maxStatementBytes) {
    const what = `Message ${key.eventId} ("${key.type}")`;
    throw new StatementTooLargeError(what, bytes, maxStatementBytes, raisePacketTo(bytes));
  }
  return [...identityColumns(key, message), message.body, properties];
}
