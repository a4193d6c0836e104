/**
 * The services as the broker knows them: half of every queue's name. `MQ_NAMESPACE` lets several landscapes (developers,
 * test runs) share one broker without taking each other's messages; every service of a landscape needs the same one.
 * Read here and not with the other settings, because decorators need the names when the event classes load.
 */
const namespace = process.env.MQ_NAMESPACE;

const inNamespace = (name: string): string => (namespace ? `${namespace}.${name}` : name);

export const ORDER_SERVICE = inNamespace('order');
export const INVENTORY_SERVICE = inNamespace('inventory');
export const EXCHANGE = inNamespace('reliable-mq');
