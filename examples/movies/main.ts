import { join } from 'node:path';
import { outcomeTable } from '../support/outcome-table';
import { migrate } from '../support/product-command';
import { Progress } from '../support/progress';
import { type Run, runExample } from '../support/run-example';
import { type Entry, settleAll } from '../support/settle-all';
import type { Verdict } from '../support/verdict';
import { WorkerPool } from '../support/worker-pool';
import { importMovie } from './definition';
import { prepareCatalogue } from './prepare';
import { readMovieRecords } from './read-records';
import type { MovieRecord } from './record';
import { describeRefusals, submittedOf } from './report';
import { takeSnapshot } from './snapshot';
import { readVerdict } from './verdict';

const RECORDS = 3_201;

const HELP = `Imports the ${RECORDS} records of a real data set into PostgreSQL and MongoDB, twice: the second import changes nothing.

  npm run example:movies -- [options]

  --limit N  how many records, 1 to ${RECORDS} (${RECORDS}, which takes some minutes)
  --once     stop everything after the verdict, on a terminal too
  --help     this text

The last line is "updates: N both: N neither: N divergent: N"; the exit code is 1 if the stores diverge.`;

const CONFIG = join(__dirname, 'twinwrite.config.ts');
const WORKERS = 2;
const CONCURRENCY = 100;

async function importTwice(run: Run): Promise<Verdict> {
  const { options, site, lifetime } = run;
  const db = site.mongo.db();
  const records = (await readMovieRecords()).slice(0, options.count);
  await migrate(site, lifetime);
  await prepareCatalogue(site.postgres);
  const pool = await WorkerPool.start(site, CONFIG, WORKERS, lifetime);
  console.log(`${WORKERS} workers are ready: processes ${pool.processIds.join(' and ')}`);

  const first = await importAll(run, 'first import', records);
  console.log(describeRefusals(first));
  console.log(outcomeTable(first));
  const before = await takeSnapshot(site.postgres, db);

  const second = await importAll(run, 'second import', records);
  const after = await takeSnapshot(site.postgres, db);
  const others = second.filter(({ answer }, index) => answer !== first[index]?.answer);
  const isUnchanged = before.fingerprint === after.fingerprint && others.length === 0;
  if (isUnchanged) {
    console.log(
      `The second import changed nothing: the same ${second.length} answers; ${after.ledgerRows} tokens in the ledger, ${after.rows} rows and ${after.documents} documents, each still the version it was.`,
    );
  }

  const verdict = await readVerdict(site.postgres, db, submittedOf(first));
  if (isUnchanged) return verdict;
  const problem = `the second import changed something: ${others.length} other answers, ${JSON.stringify({ before, after })}`;
  return { ...verdict, divergent: [...verdict.divergent, problem] };
}

async function importAll(
  { site, lifetime }: Run,
  title: string,
  records: readonly MovieRecord[],
): Promise<Entry<MovieRecord>[]> {
  const progress = new Progress(title, records.length);
  lifetime.onClose(async () => progress.stop());
  const journal = await settleAll(site.twinwrite, importMovie, records, {
    concurrency: CONCURRENCY,
    signal: lifetime.signal,
    onSettled: () => progress.advance(),
  });
  progress.stop();
  return journal;
}

void runExample({
  name: 'movies',
  help: HELP,
  count: { name: 'limit', standard: RECORDS, most: RECORDS },
  work: importTwice,
});
