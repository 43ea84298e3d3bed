// `npm run explore`: the deterministic explorer. In this process and not in one of tsx, whose code
// keeps the names of functions at a cost that shows here.
import { readFileSync } from 'node:fs';
import { createRequire, Module } from 'node:module';
import { join } from 'node:path';
import { bootstrap } from './bootstrap.mjs';
import { main, ROOT } from './run.mjs';

await main(async () => {
  await bootstrap({ build: false });
  const load = createRequire(import.meta.url);
  const { transformSync } = load('@swc/core');
  Module._extensions['.ts'] = (module, filename) => {
    const { code } = transformSync(readFileSync(filename, 'utf8'), {
      filename,
      jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
      module: { type: 'commonjs' },
    });
    module._compile(code, filename);
  };
  return await load(join(ROOT, 'test/explorer/explore.ts')).main(
    process.argv.slice(2),
    console.log,
  );
});
