/**
 * A customer as a program: it reserves, and would confirm if it lived. `holder.ts ID SKU QUANTITY
 * KEPT-MILLIS`; where Temporal is says the environment.
 */
import { Twinwrite } from 'twinwrite';
import { reserve } from './definition';

async function main([reservationId = '', sku = '', quantity, keptMillis]: string[]): Promise<void> {
  const twinwrite = await Twinwrite.connect();
  const outcome = await twinwrite.execute(reserve, {
    reservationId,
    sku,
    quantity: Number(quantity),
    keptMillis: Number(keptMillis),
  });
  console.log(outcome.status);
  // Until it is killed: what it has reserved is in nobody's hands then.
  setInterval(() => {}, 60_000);
}

void main(process.argv.slice(2));
