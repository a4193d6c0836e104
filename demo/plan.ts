/** One order that the demo places. */
export interface PlannedOrder {
  readonly sku: string;
  readonly quantity: number;
}

/** Which orders make up the story: N in all. */
export interface Plan {
  /** Watched step by step. */
  readonly first: PlannedOrder;
  /** Placed at once. */
  readonly crowd: readonly PlannedOrder[];
  /** Its consumer is made to fail. */
  readonly haunted: PlannedOrder | undefined;
  /** Placed while the broker is away. */
  readonly offline: readonly PlannedOrder[];
  /** Initial stock per sku. */
  readonly stock: ReadonlyMap<string, number>;
}

export const HAUNTED_SKU = 'haunted-mirror';
const PLENTIFUL = ['mug', 'poster', 'shirt'] as const;
const SCARCE = 'lamp';
const SPARE = 25;
const MAX_OFFLINE = 20;

/** The same orders for the same N. */
export function makePlan(orders: number): Plan {
  const haunted = orders >= 2 ? { sku: HAUNTED_SKU, quantity: 2 } : undefined;
  const offlineCount = orders >= 4 ? Math.min(MAX_OFFLINE, Math.floor(orders / 4)) : 0;
  const crowdCount = orders - 1 - (haunted ? 1 : 0) - offlineCount;
  const first = { sku: PLENTIFUL[0], quantity: 2 };
  const crowd = Array.from({ length: crowdCount }, (_, index) => ({
    sku: index % 5 === 4 ? SCARCE : (PLENTIFUL[index % PLENTIFUL.length] as string),
    quantity: 1 + (index % 3),
  }));
  const offline = Array.from({ length: offlineCount }, (_, index) => ({
    sku: PLENTIFUL[index % PLENTIFUL.length] as string,
    quantity: 1,
  }));

  const demand = new Map<string, number>();
  for (const { sku, quantity } of [first, ...crowd, ...offline]) demand.set(sku, (demand.get(sku) ?? 0) + quantity);
  const stock = new Map<string, number>(PLENTIFUL.map((sku) => [sku, (demand.get(sku) ?? 0) + SPARE]));
  stock.set(SCARCE, Math.floor((demand.get(SCARCE) ?? 0) / 2));
  stock.set(HAUNTED_SKU, 3);
  return { first, crowd, haunted, offline, stock };
}
