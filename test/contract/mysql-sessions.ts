import type { DataSource } from 'typeorm';

interface Pool {
  on(event: 'connection', listener: (connection: { query(sql: string): unknown }) => void): void;
}

/** Of each session that the pool opens from here on: it is the application's to choose. */
export function setIsolation(dataSource: DataSource, isolation: string): void {
  const { pool } = dataSource.driver as unknown as { readonly pool: Pool };
  pool.on('connection', (connection) => connection.query(`SET SESSION TRANSACTION ISOLATION LEVEL ${isolation}`));
}
