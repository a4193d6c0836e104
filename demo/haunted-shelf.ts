import { queryOnce } from '../tools/servers/query-once';
import { HAUNTED_SKU } from './plan';

/** What the handler of the inventory service fails with. */
const HAUNTING = 'the shelf is haunted';

/**
 * What the demo calls a consumer that fails: the inventory service as it is, whose database refuses one statement of its handler.
 * Only taking fails; stock can be set and given back.
 */
export async function hauntShelf(inventoryUrl: string): Promise<void> {
  for (const statement of inventoryUrl.startsWith('postgres') ? POSTGRES : MYSQL)
    await queryOnce(inventoryUrl, statement);
}

const POSTGRES = [
  `CREATE FUNCTION haunt() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    RAISE EXCEPTION '${HAUNTING}';
  END $$`,
  `CREATE TRIGGER haunted BEFORE UPDATE ON stock FOR EACH ROW
  WHEN (NEW.sku = '${HAUNTED_SKU}' AND NEW.available < OLD.available) EXECUTE FUNCTION haunt()`,
];

const MYSQL = [
  `CREATE TRIGGER haunted BEFORE UPDATE ON stock FOR EACH ROW
  IF NEW.sku = '${HAUNTED_SKU}' AND NEW.available < OLD.available THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '${HAUNTING}';
  END IF`,
];
