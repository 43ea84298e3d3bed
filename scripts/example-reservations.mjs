// `npm run example:reservations`: from a bare clone to the running example, reservations.
import { bootstrap } from './bootstrap.mjs';
import { main, runTypeScript } from './run.mjs';

await main(async () => {
  await bootstrap();
  return runTypeScript('examples/reservations/main.ts', process.argv.slice(2));
});
