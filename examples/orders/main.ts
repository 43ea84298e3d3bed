import { join } from 'node:path';
import { migrate } from '../support/product-command';
import { Progress } from '../support/progress';
import { type Run, runExample } from '../support/run-example';
import { settleAll } from '../support/settle-all';
import type { Verdict } from '../support/verdict';
import { WorkerPool } from '../support/worker-pool';
import { placeOrder } from './definition';
import { describeKill, killWorkerAmidst, type LoadState } from './kill-worker';
import { planMix } from './mix';
import { prepareShop } from './prepare';
import { reportOf } from './report';
import { readVerdict } from './verdict';

const HELP = `Places orders in PostgreSQL and MongoDB at once, kills a worker in the middle, and judges both stores.

  npm start -- [options]

  --updates N  how many orders, 1 to 100000 (300)
  --once       stop everything after the verdict, on a terminal too
  --help       this text

The last line is "updates: N both: N neither: N divergent: N"; the exit code is 1 if the stores diverge.`;

const CONFIG = join(__dirname, 'twinwrite.config.ts');
const WORKERS = 2;
/**
 * Enough for a kill to meet many updates half way; no more, or all that is measured is the queue.
 */
const CONCURRENCY = 60;

async function placeOrders({ options, site, lifetime }: Run): Promise<Verdict> {
  const { stock, orders } = planMix(site.name, options.count);
  const db = site.mongo.db();
  await migrate(site, lifetime);
  await prepareShop(site.postgres, db, stock);
  const pool = await WorkerPool.start(site, CONFIG, WORKERS, lifetime);
  console.log(`${WORKERS} workers are ready: processes ${pool.processIds.join(' and ')}`);

  const progress = new Progress('orders', orders.length);
  lifetime.onClose(async () => progress.stop());
  const load: LoadState = { total: orders.length, sent: 0, answered: 0 };
  const work = settleAll(site.twinwrite, placeOrder, orders, {
    concurrency: CONCURRENCY,
    signal: lifetime.signal,
    onBegun: () => (load.sent += 1),
    onSettled: (answer) => {
      if (answer === 'invalid') load.sent -= 1;
      load.answered += 1;
      progress.advance();
    },
  });
  const kill = killWorkerAmidst(pool, site.postgres, db, load).then((met) =>
    progress.say(describeKill(met)),
  );
  const [journal] = await Promise.all([work, kill]);
  progress.stop();
  console.log(reportOf(journal));

  const submitted = journal.map(({ input, answer }) => ({
    id: input.orderId,
    applied: answer === 'applied',
  }));
  return await readVerdict(site.postgres, db, submitted, stock);
}

void runExample({
  name: 'orders',
  help: HELP,
  count: { name: 'updates', standard: 300, most: 100_000 },
  work: placeOrders,
});
