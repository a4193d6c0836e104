/** What a statement of this library may be given. */
export type SqlValue = string | number | boolean | null;

export interface Statement {
  readonly text: string;
  readonly values?: readonly SqlValue[];
  /** Of a statement that the server may keep prepared: one name for one text. */
  readonly name?: string;
}

/** An application's, with whatever values `pg` takes. */
export interface AnyStatement {
  readonly text: string;
  readonly values?: readonly unknown[] | undefined;
  readonly name?: string | undefined;
}

export interface Result {
  readonly command: string | null;
  readonly rows: unknown[];
}

/** The parts of a `pg` client that are used here. */
export interface PostgresClient {
  query(text: string, values?: readonly unknown[]): Promise<Result>;
  query(query: object): unknown;
  /** What the server said last: `I`, `T` or `E` for no transaction, an open one, or a failed one. pg 8.17 and later. */
  getTransactionStatus?(): string | null;
  /** Whether every statement has been answered. */
  readonly readyForQuery?: boolean;
  /** Whether statements are sent before those ahead of them have been answered. */
  readonly pipeline?: boolean;
}

/** The parts of `pg`'s connection that speak the extended query protocol. */
interface PostgresConnection {
  parse(statement: { readonly text: string; readonly name: string }): void;
  bind(portal: { readonly statement: string; readonly values: readonly (string | null)[] }): void;
  describe(what: { readonly type: 'P'; readonly name: '' }): void;
  execute(portal?: object): void;
  close(what: { readonly type: 'S'; readonly name: string }): void;
  sync(): void;
  readonly stream?: { write(chunk: Buffer): void };
  /** How the methods above hand over what they have encoded. */
  _send?(chunk: Buffer): void;
}

/** `pg`'s Query, as far as it is extended here. */
interface PostgresQuery {
  text: string;
  queryMode?: 'extended';
  prepare(connection: PostgresConnection): void;
  handleCommandComplete(message: unknown, connection: PostgresConnection): void;
  handleError(error: Error, connection: PostgresConnection): void;
  handleReadyForQuery(connection: PostgresConnection): void;
}

type PostgresQueryClass = new (
  text: string,
  values: readonly unknown[],
  callback: (error: Error | null, result: Result) => void,
) => PostgresQuery;

interface PostgresClientClass {
  readonly Query: PostgresQueryClass;
}

interface GroupedQuery extends PostgresQuery {
  /** How many statements the server has completed. */
  readonly completed: number;
}

type GroupedQueryClass = new (
  before: readonly Statement[],
  statement: AnyStatement,
  prepared: PreparedNames | undefined,
  callback: (error: Error | null, result: Result) => void,
) => GroupedQuery;

/** What one connection's server keeps prepared. `uncertain`: sent in a group that failed. */
type PreparedNames = Map<string, 'prepared' | 'uncertain'>;

const preparedNames = new WeakMap<PostgresClient, PreparedNames>();
const classes = new WeakMap<PostgresQueryClass, GroupedQueryClass>();

/** A group that failed, and how far it got. */
export class GroupFailure extends Error {
  constructor(
    /** What `pg` says. */
    override readonly cause: Error,
    /** Statements that were completed before the one that failed. */
    readonly completed: number,
  ) {
    super(cause.message, { cause });
  }
}

/**
 * Sends statements without results, and one more, as one message: `Parse, Bind, Execute` of each and a single `Sync`. PostgreSQL
 * skips whatever stands between a failed statement and the Sync, so nothing is executed after a failure
 * (PostgreSQL, frontend/backend protocol, "extended query"; the JDBC driver sends BEGIN in this way).
 * @param keepPrepared whether statements with a name are parsed once per connection
 * @returns the last statement's result
 * @throws GroupFailure
 */
export function sendGroup(
  client: PostgresClient,
  before: readonly Statement[],
  statement: AnyStatement,
  keepPrepared: boolean,
): Promise<Result> {
  const Grouped = groupedQueryClass((client.constructor as unknown as PostgresClientClass).Query);
  const prepared = keepPrepared ? preparedOn(client) : undefined;
  return new Promise((resolve, reject) => {
    const query = new Grouped(before, statement, prepared, (error, result) => {
      if (error) reject(new GroupFailure(error, query.completed));
      else resolve(result);
      if (prepared) settle(prepared, [...before, statement], error);
    });
    client.query(query);
  });
}

function preparedOn(client: PostgresClient): PreparedNames {
  let names = preparedNames.get(client);
  if (!names) preparedNames.set(client, (names = new Map<string, 'prepared' | 'uncertain'>()));
  return names;
}

function settle(prepared: PreparedNames, statements: readonly AnyStatement[], error: Error | null): void {
  for (const { name } of statements) {
    if (name !== undefined && (!error || prepared.get(name) !== 'prepared'))
      prepared.set(name, error ? 'uncertain' : 'prepared');
  }
}

/** What the server says when it has answered everything. A failed statement is answered before the new status is told. */
export function transactionStatus(
  client: PostgresClient,
): string | null | undefined | Promise<string | null | undefined> {
  const status = (): string | null | undefined => client.getTransactionStatus?.();
  // An empty statement is answered in a failed transaction too.
  return client.readyForQuery === false ? client.query('').then(status) : status();
}

/**
 * Whether statements can be sent as a group: not by other implementations of the client, such as pg-native, and not in `pg`'s
 * pipeline mode, where a group would be written before it is known what the one before it has prepared.
 */
export function canGroup(client: PostgresClient): boolean {
  if (client.pipeline === true) return false;
  const { Query } = client.constructor as Partial<PostgresClientClass>;
  return typeof Query === 'function' && 'prepare' in (Query.prototype as object);
}

function groupedQueryClass(Query: PostgresQueryClass): GroupedQueryClass {
  let Grouped = classes.get(Query);
  if (!Grouped) {
    Grouped = createGroupedQueryClass(Query);
    classes.set(Query, Grouped);
  }
  return Grouped;
}

/** A connection of which what it would send is kept: a dozen writes to the socket cost more than encoding all of it. */
interface Collector {
  readonly connection: PostgresConnection;
  /** Keeps what is sent from now on in a new list. */
  collect(): Buffer[];
}

const collectors = new WeakMap<PostgresConnection, Collector | null>();

/** @returns null for a connection that sends in another way */
function collectorOf(connection: PostgresConnection): Collector | null {
  let collector = collectors.get(connection);
  if (collector === undefined) collectors.set(connection, (collector = createCollector(connection)));
  return collector;
}

/** Its methods and fields beside it, not on top of it: V8 gives up what it knows of an object that becomes a prototype and still changes. */
function createCollector(connection: PostgresConnection): Collector | null {
  if (typeof connection._send !== 'function') return null;
  let kept: Buffer[] = [];
  const copy = Object.assign(Object.create(Object.getPrototypeOf(connection) as object) as object, connection, {
    _send: (chunk: Buffer) => kept.push(chunk),
  });
  return { connection: copy, collect: () => (kept = []) };
}

function createGroupedQueryClass(Query: PostgresQueryClass): GroupedQueryClass {
  return class extends Query {
    completed = 0;
    private isEncoding = false;
    private encodingFailure: Error | undefined;
    /** Names that this group has prepared. */
    private readonly parsed = new Set<string>();

    constructor(
      private readonly before: readonly Statement[],
      private readonly statement: AnyStatement,
      private readonly prepared: PreparedNames | undefined,
      callback: (error: Error | null, result: Result) => void,
    ) {
      // Not as one object with the mode in it, which `pg` would copy property by property.
      super(statement.text, statement.values ?? [], callback);
      this.queryMode = 'extended';
    }

    /**
     * Of the class, not of the object: whoever copies the object (instrumentations of `pg` do that) gets something that `pg` refuses,
     * instead of the last statement without those before it.
     */
    override get text(): string {
      return this.statement.text;
    }

    override set text(_: string) {
      // Set by the constructor of `pg`'s Query.
    }

    override prepare(connection: PostgresConnection): void {
      const collector = collectorOf(connection);
      const chunks = collector?.collect() ?? [];
      this.isEncoding = true;
      this.write(collector?.connection ?? connection);
      this.isEncoding = false;
      if (chunks.length > 0) connection.stream?.write(Buffer.concat(chunks));
      // The list stays until the connection's next group.
      chunks.length = 0;
    }

    private write(connection: PostgresConnection): void {
      for (const statement of this.before) {
        this.bind(connection, statement);
        connection.execute();
      }
      // An application's values, and what they become, are `pg`'s to know.
      if (this.statement.name === undefined) return super.prepare(connection);
      this.bind(connection, this.statement as Statement);
      connection.describe({ type: 'P', name: '' });
      connection.execute();
      connection.sync();
    }

    private bind(connection: PostgresConnection, { text, values = [], name = '' }: Statement): void {
      const kept = this.prepared && name !== '' ? name : '';
      const known = this.parsed.has(kept) ? 'prepared' : this.prepared?.get(kept);
      if (known === 'uncertain') connection.close({ type: 'S', name: kept });
      if (known !== 'prepared') connection.parse({ text, name: kept });
      if (kept !== '') this.parsed.add(kept);
      connection.bind({ statement: kept, values: values.map((value) => (value === null ? null : String(value))) });
    }

    /** Values that `pg` cannot encode fail here at once; but the statements before are on their way, and what becomes of them counts. */
    override handleError(error: Error, connection: PostgresConnection): void {
      if (this.isEncoding) this.encodingFailure = error;
      else super.handleError(error, connection);
    }

    override handleReadyForQuery(connection: PostgresConnection): void {
      if (this.encodingFailure) super.handleError(this.encodingFailure, connection);
      else super.handleReadyForQuery(connection);
    }

    override handleCommandComplete(message: unknown, connection: PostgresConnection): void {
      this.completed += 1;
      if (this.completed > this.before.length) super.handleCommandComplete(message, connection);
    }
  };
}
