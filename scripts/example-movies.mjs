// `npm run example:movies`: from a bare clone to the running example, movies.
import { bootstrap } from './bootstrap.mjs';
import { main, runTypeScript } from './run.mjs';

await main(async () => {
  await bootstrap();
  return runTypeScript('examples/movies/main.ts', process.argv.slice(2));
});
