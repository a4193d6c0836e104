import { Client } from 'pg';
import { HAUNTED_SKU } from './plan';

/** What the handler of the inventory service fails with. */
const HAUNTING = 'the shelf is haunted';

/**
 * What the demo calls a consumer that fails: the inventory service as it is, whose database refuses one statement of its handler.
 * Only taking fails; stock can be set and given back.
 */
export async function hauntShelf(inventoryUrl: string): Promise<void> {
  const client = new Client({ connectionString: inventoryUrl });
  await client.connect();
  try {
    await client.query(`
      CREATE FUNCTION haunt() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        RAISE EXCEPTION '${HAUNTING}';
      END $$;
      CREATE TRIGGER haunted BEFORE UPDATE ON stock FOR EACH ROW
      WHEN (NEW.sku = '${HAUNTED_SKU}' AND NEW.available < OLD.available) EXECUTE FUNCTION haunt()`);
  } finally {
    await client.end();
  }
}
