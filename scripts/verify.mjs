// `npm run verify`: the one gate. Stops at the first step that fails, with its output.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { bootstrap } from './bootstrap.mjs';
import { main, ROOT, run } from './run.mjs';

const TYPE_TESTS = 'test/types/tsconfig.json';

/** @type {{ name: string, program: string, args: string[], needs?: string }[]} */
const STEPS = [
  { name: 'format', program: 'node_modules/.bin/biome', args: ['ci', '.'] },
  { name: 'lint', program: 'node_modules/.bin/oxlint', args: ['--type-aware', '--deny-warnings'] },
  { name: 'types', program: 'node_modules/.bin/tsc', args: ['-p', 'tsconfig.check.json'] },
  {
    name: 'type tests under TypeScript 5.9',
    program: process.execPath,
    args: ['node_modules/typescript-5.9/bin/tsc', '-p', TYPE_TESTS],
    needs: TYPE_TESTS,
  },
  { name: 'dead code', program: 'node_modules/.bin/knip', args: [] },
];

await main(async () => {
  await bootstrap();
  for (const step of STEPS) {
    if (step.needs !== undefined && !existsSync(join(ROOT, step.needs))) continue;
    const started = Date.now();
    let output = '';
    const code = await run(step.program, step.args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      onOutput: (text) => (output += text),
    });
    const seconds = ((Date.now() - started) / 1000).toFixed(1);
    if (code !== 0) {
      process.stdout.write(`${output.trimEnd()}\n`);
      console.log(`verify failed in: ${step.name} (${seconds} s)`);
      return code;
    }
    console.log(`${step.name}: ok (${seconds} s)`);
  }
  console.log('tests:');
  return run(process.execPath, ['scripts/test.mjs', '--all', ...process.argv.slice(2)]);
});
