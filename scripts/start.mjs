// `npm start`: from a bare clone to the running example, orders.
import { bootstrap } from './bootstrap.mjs';
import { main, runTypeScript } from './run.mjs';

await main(async () => {
  await bootstrap();
  return runTypeScript('examples/orders/main.ts', process.argv.slice(2));
});
