/**
 * Goal: every line of a file gets its outcome, bad lines are named and harm no others, and running
 * the command again changes nothing. Method: the real command as a process of its own, the orders
 * example, a worker in this process, both stores read directly.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { placeOrder } from '../../examples/orders/definition';
import { prepareShop } from '../../examples/orders/prepare';
import { openWorld, type RunningWorker, type World } from '../support/world';
import { type CliResult, environmentOf, ORDERS_CONFIG, runCli } from './run-cli';

const STOCK = [
  { sku: 'kettle', title: 'Kettle', priceCents: '1999', available: 1_000 },
  { sku: 'sold-out', title: 'Toaster', priceCents: '2999', available: 0 },
];

interface Line {
  readonly line: number;
  readonly end: string;
  readonly token?: string;
  readonly outcome?: unknown;
  readonly error?: { readonly code: string; readonly message: string };
}

describe('twinwrite submit', () => {
  let world: World;
  let worker: RunningWorker;
  let folder: string;
  const reused = randomUUID();
  const good = Array.from({ length: 12 }, () => order());
  const refused = order({ sku: 'sold-out' });
  const compensated = order({ giftNote: 'x'.repeat(121) });
  const lines = [
    JSON.stringify(order({ orderId: reused })),
    ...good.map((input) => JSON.stringify(input)),
    JSON.stringify(refused),
    JSON.stringify(compensated),
    '',
    '{"orderId": ',
    JSON.stringify(order({ quantity: 0 })),
  ];

  beforeAll(async () => {
    world = await openWorld();
    folder = await mkdtemp(join(tmpdir(), 'twinwrite-cli-'));
    await prepareShop(world.postgres, world.mongo.db(), STOCK);
    worker = await world.startWorker({ updates: [placeOrder] });
    await writeFile(join(folder, 'orders.jsonl'), `${lines.join('\n')}\n`);
  });

  afterAll(async () => {
    await rm(folder, { recursive: true });
    await worker.stop();
    await world.close();
  });

  const submit = async (args: readonly string[], input?: string): Promise<CliResult> =>
    await runCli(['submit', 'placeOrder', '--config', ORDERS_CONFIG, ...args], {
      cwd: folder,
      env: environmentOf(world),
      ...(input === undefined ? {} : { input }),
    });

  test('each line has an outcome or a reason, and running it again gives the same (clause 1)', async () => {
    const first = await submit(['--file', 'orders.jsonl', '--json']);
    const again = await submit(['--file', 'orders.jsonl', '--json', '--concurrency', '3']);
    expect(first.code).toBe(1);
    expect(first.stderr).toContain('orders.jsonl:17: invalid: is not JSON');
    expect(first.stderr).toContain('orders.jsonl:18: invalid: quantity:');
    const { reports, summary } = parse(first);
    expect(summary).toEqual({
      lines: 17,
      applied: 13,
      compensated: 1,
      refused: 1,
      invalid: 2,
      failed: 0,
      isFinished: true,
    });
    expect(reports.find(({ line }) => line === 14)).toMatchObject({
      end: 'refused',
      token: refused.orderId,
      outcome: { reason: { code: 'RefusedByDefinition' } },
    });
    expect(reports.find(({ line }) => line === 15)).toMatchObject({
      end: 'compensated',
      outcome: { reason: { code: 'RefusedByMongo' } },
    });
    expect(parse(again).reports).toEqual(reports);
    const placed = await world.postgres.query('select id from orders');
    expect(placed.rowCount).toBe(13);
    expect(await world.mongo.db().collection('orders').countDocuments({ '_tw.live': true })).toBe(
      13,
    );
  });

  test('a file of which every line has an outcome ends with 0 and a table', async () => {
    const inputs = [order(), order({ sku: 'sold-out' })];
    const input = inputs.map((line) => JSON.stringify(line)).join('\r\n');
    const { code, stdout, stderr } = await submit(['--file', '-'], `\uFEFF${input}`);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toMatch(/applied\s+│ 1/);
    expect(stdout).toMatch(/refused\s+│ 1/);
    expect(stdout).toContain('2 lines in');
  });

  test('a token that stands for another input is told, with its line', async () => {
    const input = JSON.stringify(order({ orderId: reused, quantity: 7 }));
    const { code, stderr } = await submit(['--file', '-'], input);
    expect(code).toBe(1);
    expect(stderr).toContain('line 1: invalid: The token');
    expect(stderr).toContain('was used before with another input');
  });

  test('without a worker it says what is missing, and the lines count as failed after the wait', async () => {
    const queue = `${world.name}-nobody`;
    const wait = ['--task-queue', queue, '--timeout-millis', '300'];
    const { code, stderr, stdout } = await submit(
      ['--file', '-', ...wait],
      JSON.stringify(order()),
    );
    expect(code).toBe(1);
    expect(stderr).toContain(`No worker polls the task queue "${queue}"`);
    expect(stderr).toContain('was not settled within 300 ms. It goes on');
    expect(stdout).toMatch(/failed\s+│ 1/);
  });

  test('while Temporal is away it gives up with a sentence', async () => {
    const args = ['submit', 'placeOrder', '--config', ORDERS_CONFIG, '--file', 'orders.jsonl'];
    const env = { ...environmentOf(world), TEMPORAL_ADDRESS: '127.0.0.1:9' };
    const { code, stderr } = await runCli(args, { cwd: folder, env });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^twinwrite: Temporal did not answer .*\n$/);
  });
});

function order(changes: object = {}) {
  return { orderId: randomUUID() as string, sku: 'kettle', quantity: 1, ...changes };
}

function parse({ stdout }: CliResult): { reports: Line[]; summary: unknown } {
  const documents = stdout
    .trimEnd()
    .split('\n')
    .map((text) => JSON.parse(text) as Line & { summary?: unknown });
  const { summary } = documents.pop() ?? {};
  return { reports: documents.sort((a, b) => a.line - b.line), summary };
}
