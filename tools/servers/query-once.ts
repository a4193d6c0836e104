import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { Client } from 'pg';

/** Rows of one statement, on a connection of its own, of a PostgreSQL, MySQL or MariaDB: whichever the url names. */
export async function queryOnce<Row extends object>(url: string, sql: string): Promise<Row[]> {
  return url.startsWith('postgres') ? onPostgres(url, sql) : onMysql(url, sql);
}

async function onPostgres<Row extends object>(url: string, sql: string): Promise<Row[]> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined); // the query in progress tells it
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

async function onMysql<Row extends object>(url: string, sql: string): Promise<Row[]> {
  const connection = await createConnection({ uri: url });
  try {
    const [rows] = await connection.query<RowDataPacket[]>(sql);
    return Array.isArray(rows) ? (rows as unknown as Row[]) : [];
  } finally {
    await connection.end();
  }
}
