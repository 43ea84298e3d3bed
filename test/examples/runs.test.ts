/**
 * Goal: the programs that a newcomer starts end as they promise, and leave nothing. Method: each as
 * a process of its own, on the servers of this test run, which it is given and must not stop.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Connection } from '@temporalio/client';
import { MongoClient } from 'mongodb';
import { Pool } from 'pg';
import { eventually } from '../support/eventually';
import { stackAddresses } from '../support/stack-addresses';

const ROOT = join(__dirname, '..', '..');
const { postgresUrl, mongoUri, temporalAddress } = stackAddresses();

/** A run of an example, and what it has printed so far. */
class ExampleProcess {
  output = '';
  errors = '';
  readonly #child: ChildProcess;
  readonly #exit: Promise<number | null>;

  constructor(example: 'orders' | 'movies' | 'reservations', args: readonly string[]) {
    const main = join('examples', example, 'main.ts');
    this.#child = spawn(process.execPath, ['--import', 'tsx', main, ...args], {
      cwd: ROOT,
      env: {
        ...process.env,
        NODE_OPTIONS: '',
        TWINWRITE_STACK_POSTGRES_URL: postgresUrl,
        TWINWRITE_STACK_MONGODB_URI: mongoUri,
        TWINWRITE_STACK_TEMPORAL_ADDRESS: temporalAddress,
        // What configures the product is none of the example's business.
        DATABASE_URL: 'postgres://production.invalid/shop',
        MONGODB_URI: 'mongodb://production.invalid/shop',
        TEMPORAL_ADDRESS: 'production.invalid:7233',
        TEMPORAL_NAMESPACE: 'production',
      },
    });
    this.#child.stdout?.on('data', (text: Buffer) => (this.output += text.toString()));
    this.#child.stderr?.on('data', (text: Buffer) => (this.errors += text.toString()));
    this.#exit = once(this.#child, 'close').then(([code]) => code as number | null);
  }

  interrupt(): void {
    this.#child.kill('SIGINT');
  }

  async exitCode(): Promise<number | null> {
    return await this.#exit;
  }

  get lines(): string[] {
    return this.output.trimEnd().split('\n');
  }

  /** The workers' process ids, once they are ready. */
  get workers(): number[] | undefined {
    const [, first, second] = /processes (\d+) and (\d+)/.exec(this.output) ?? [];
    return first === undefined ? undefined : [Number(first), Number(second)];
  }
}

describe('the programs of the examples', () => {
  let before: readonly string[];
  const runs: ExampleProcess[] = [];

  const start = (...args: ConstructorParameters<typeof ExampleProcess>): ExampleProcess => {
    const run = new ExampleProcess(...args);
    runs.push(run);
    return run;
  };

  beforeAll(async () => {
    before = await namesOnServers();
  });

  afterAll(async () => {
    // One whose test failed half way.
    for (const run of runs) run.interrupt();
    await Promise.all(runs.map((run) => run.exitCode()));
  });

  /** Databases, namespaces and workers that a run has made and not removed. */
  const leftovers = async (run: ExampleProcess): Promise<string[]> => [
    ...(await namesOnServers()).filter((name) => !before.includes(name)),
    ...(run.workers ?? []).filter(isAlive).map(String),
  ];

  test('orders: a worker is killed in the middle, the stores agree, nothing is left', async () => {
    const run = start('orders', ['--updates', '50', '--once']);
    expect([await run.exitCode(), run.errors]).toEqual([0, '']);
    expect(run.output).toMatch(/^SIGKILL to a worker \(process \d+\) with \d+ updates unsettled/m);
    expect(run.output).toContain('4 × MongoDB refused, so PostgreSQL was compensated:');
    expect(run.output).toContain('3 × refused by the definition, before anything was written:');
    expect(run.output).toContain('2 × refused by the schema in the client, so never sent:');
    expect(run.lines.at(-1)).toBe('updates: 50 both: 41 neither: 9 divergent: 0');
    expect(await leftovers(run)).toEqual([]);
  });

  test('movies: the second import says that it changed nothing', async () => {
    const run = start('movies', ['--limit', '30', '--once']);
    expect([await run.exitCode(), run.errors]).toEqual([0, '']);
    expect(run.output).toContain('4 records were refused, and nothing of them was written:');
    expect(run.output).toContain(
      'The second import changed nothing: the same 30 answers; 26 tokens',
    );
    expect(run.lines.at(-1)).toBe('updates: 30 both: 26 neither: 4 divergent: 0');
    expect(await leftovers(run)).toEqual([]);
  });

  test('reservations: ten pieces for twenty customers, and one who holds two is killed', async () => {
    const run = start('reservations', ['--customers', '20', '--once']);
    expect([await run.exitCode(), run.errors]).toEqual([0, '']);
    expect(run.output).toContain('10 of 20 customers have one of 10 kettles');
    expect(run.output).toContain('5 confirm, 3 cancel: 3 are there again');
    expect(run.output).toContain('nobody confirmed them: 3 are there again');
    expect(run.lines.at(-1)).toBe('updates: 21 both: 11 neither: 10 divergent: 0');
    expect(await leftovers(run)).toEqual([]);
  });

  test('interrupted in the middle, it ends quietly with 130, and nothing is left', async () => {
    const run = start('orders', ['--updates', '200']);
    await eventually(() => run.output.includes('orders: 20 of') || undefined, 'progress', 50_000);
    run.interrupt();
    expect([await run.exitCode(), run.errors]).toEqual([130, '']);
    expect(await leftovers(run)).toEqual([]);
  });

  test('a worker that ends by itself ends the run, with a sentence and 1', async () => {
    const run = start('orders', ['--updates', '1000']);
    const [first = 0] = await eventually(() => run.workers, 'the workers are ready', 60_000);
    process.kill(first, 'SIGKILL');
    expect(await run.exitCode()).toBe(1);
    expect(run.errors).toMatch(/^Worker 1 ended by itself: .*\n$/);
    expect(await leftovers(run)).toEqual([]);
  });

  test('a wrong command line is refused at once, in a sentence, with 2', async () => {
    const run = start('orders', ['--updates', 'many']);
    expect(await run.exitCode()).toBe(2);
    expect(run.output).toBe('');
    expect(run.errors).toBe('--updates takes a whole number from 1 to 100000, not "many".\n');
  });
});

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch {
    return false;
  }
}

/**
 * The databases and namespaces of examples' runs. Temporal gives a namespace another name while it
 * deletes it.
 */
async function namesOnServers(): Promise<string[]> {
  const postgres = new Pool({ connectionString: postgresUrl, max: 1 });
  const mongo = new MongoClient(mongoUri);
  const temporal = await Connection.connect({ address: temporalAddress });
  try {
    const found = await postgres.query<{ name: string }>('select datname as name from pg_database');
    const { databases } = await mongo.db('admin').admin().listDatabases({ nameOnly: true });
    const { namespaces } = await temporal.workflowService.listNamespaces({ pageSize: 1_000 });
    return [
      ...found.rows.map(({ name }) => name),
      ...databases.map(({ name }) => name),
      ...namespaces.map(({ namespaceInfo }) => namespaceInfo?.name ?? ''),
    ].filter((name) => /^twinwrite_(orders|movies|reservations)_[0-9a-f]{12}$/.test(name));
  } finally {
    await temporal.close();
    await mongo.close();
    await postgres.end();
  }
}
