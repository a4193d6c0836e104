import type { Landscape } from './landscape';

export async function putStock(landscape: Landscape, stock: ReadonlyMap<string, number>): Promise<void> {
  const [inventory] = landscape.of('inventory');
  for (const [sku, quantity] of stock) {
    const response = await fetch(`http://127.0.0.1:${inventory?.port ?? 0}/stock/${sku}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ quantity }),
    });
    if (!response.ok)
      throw new Error(`PUT /stock/${sku} was answered with ${response.status}: ${await response.text()}`);
  }
}
