// `npm run build`: builds dist/ anew, whether or not it is needed.
import { bootstrap } from './bootstrap.mjs';
import { build } from './distribution.mjs';
import { main } from './run.mjs';

await main(async () => {
  await bootstrap({ build: false });
  await build();
  return 0;
});
