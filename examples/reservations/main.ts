import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import { ExampleFailure } from '../support/example-failure';
import { outcomeTable } from '../support/outcome-table';
import { migrate } from '../support/product-command';
import { Progress } from '../support/progress';
import { type Run, runExample } from '../support/run-example';
import { settleAll } from '../support/settle-all';
import type { Verdict } from '../support/verdict';
import { WorkerPool } from '../support/worker-pool';
import { cancel, confirm, reserve } from './definition';
import { prepareShop } from './prepare';
import { startHolder } from './start-holder';
import { startSweeper } from './sweeper';
import { readVerdict } from './verdict';

const HELP = `Lets customers reserve ten pieces at once, confirm some and cancel some, and kills one who holds two.

  npm run example:reservations -- [options]

  --customers N  how many want one, 1 to 1000 (100)
  --once         stop everything after the verdict, on a terminal too
  --help         this text

The last line is "updates: N both: N neither: N divergent: N"; the exit code is 1 if the stores diverge or a piece was sold twice.`;

const CONFIG = join(__dirname, 'twinwrite.config.ts');
const KETTLES = { sku: 'kettle', available: 10 };
const KEPT_MILLIS = 10 * 60_000;
const HOLDER_KEPT_MILLIS = 2_000;
const SWEEP_MILLIS = 200;
const COMES_BACK_WITHIN_MILLIS = 30_000;

async function sellKettles({ options, site, lifetime }: Run): Promise<Verdict> {
  const { postgres, twinwrite, name: taskQueue } = site;
  await migrate(site, lifetime);
  await prepareShop(postgres, [KETTLES]);
  const pool = await WorkerPool.start(site, CONFIG, 2, lifetime);
  console.log(`2 workers are ready: processes ${pool.processIds.join(' and ')}`);
  const sweeper = startSweeper(postgres, twinwrite, SWEEP_MILLIS);
  lifetime.onClose(() => sweeper.stop());

  const wanted = Array.from({ length: options.count }, () => newReservation(1, KEPT_MILLIS));
  const progress = new Progress('customers', wanted.length);
  lifetime.onClose(async () => progress.stop());
  const journal = await settleAll(twinwrite, reserve, wanted, {
    concurrency: wanted.length,
    signal: lifetime.signal,
    onSettled: () => progress.advance(),
  });
  progress.stop();
  console.log(outcomeTable(journal));
  const reserved = journal.filter(({ answer }) => answer === 'applied').map(({ input }) => input);
  console.log(`${reserved.length} of ${wanted.length} customers have one of 10 kettles`);

  const endings = [
    ...reserved.slice(0, 5).map((input) => twinwrite.execute(confirm, endingOf(input))),
    ...reserved.slice(5, 8).map((input) => twinwrite.execute(cancel, endingOf(input))),
  ];
  await Promise.all(endings);
  const before = await availableOf(postgres);
  console.log(`5 confirm, 3 cancel: ${before} are there again`);

  const held = newReservation(2, HOLDER_KEPT_MILLIS);
  const { temporalAddress, namespace } = site;
  const holder = await startHolder({ temporalAddress, namespace, taskQueue }, held);
  await holder.kill();
  console.log(`SIGKILL to a customer (process ${holder.processId}) who holds 2 of them`);
  await comesBack(postgres, before, lifetime.signal);
  // PostgreSQL has it first: once the sweeper has its outcome, MongoDB shows it too.
  await sweeper.stop();
  console.log(`nobody confirmed them: ${before} are there again`);

  const submitted = journal.map(({ input, answer }) => ({
    id: input.reservationId,
    applied: answer === 'applied',
  }));
  const all = [...submitted, { id: held.reservationId, applied: holder.status === 'applied' }];
  return await readVerdict(postgres, site.mongo.db(), all, [KETTLES]);
}

function newReservation(quantity: number, keptMillis: number) {
  return { reservationId: randomUUID(), sku: KETTLES.sku, quantity, keptMillis };
}

function endingOf({ reservationId }: { readonly reservationId: string }) {
  return { reservationId };
}

async function availableOf(postgres: Pool): Promise<number> {
  const { rows } = await postgres.query<{ available: number }>(
    'select available from item where sku = $1',
    [KETTLES.sku],
  );
  return rows[0]?.available ?? 0;
}

async function comesBack(postgres: Pool, wanted: number, signal: AbortSignal): Promise<void> {
  const until = Date.now() + COMES_BACK_WITHIN_MILLIS;
  while (!signal.aborted && (await availableOf(postgres)) !== wanted) {
    if (Date.now() > until) throw new ExampleFailure('What the customer held did not come back.');
    await sleep(SWEEP_MILLIS);
  }
}

void runExample({
  name: 'reservations',
  help: HELP,
  count: { name: 'customers', standard: 100, most: 1_000 },
  work: sellKettles,
});
