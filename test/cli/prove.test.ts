/**
 * Goal: whoever doubts an update gets a verdict with its evidence, and every way in which the two
 * stores can disagree about it is found. Method: the real command as a process of its own, against
 * updates in each state, whose traces are then tampered with in one of the stores.
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Long } from 'mongodb';
import { orders as ordersProjection, placeOrder } from '../../examples/orders/definition';
import { prepareShop } from '../../examples/orders/prepare';
import { readPostgresEntry } from '../../src/activities/ledger-entries';
import { readDocumentEvidence } from '../../src/activities/proof';
import { judge } from '../../src/cli/prove/verdict';
import { prepareLedger, transactionEntry } from '../support/ledger-definitions';
import { openWorld, type RunningWorker, type World } from '../support/world';
import { environmentOf, ORDERS_CONFIG, runCli } from './run-cli';

const STOCK = [{ sku: 'kettle', title: 'Kettle', priceCents: '1999', available: 1_000 }];

interface Proof {
  readonly verdict: string;
  readonly findings: readonly { kind: string; says: string }[];
  readonly gaps: readonly string[];
}

describe('twinwrite prove', () => {
  let world: World;
  let worker: RunningWorker;
  const entry = transactionEntry();
  const folder = mkdtempSync(join(tmpdir(), 'prove-'));

  beforeAll(async () => {
    world = await openWorld();
    await prepareShop(world.postgres, world.mongo.db(), STOCK);
    await prepareLedger(world);
    worker = await world.startWorker({ updates: [placeOrder, entry] });
  });

  afterAll(async () => {
    rmSync(folder, { recursive: true });
    await worker.stop();
    await world.close();
  });

  const run = async (args: readonly string[], env = environmentOf(world)) =>
    await runCli(['prove', ...args, '--config', ORDERS_CONFIG], { env });
  const prove = async (name: string, token: string): Promise<Proof> => {
    const { stdout, code } = await run([name, token, '--json']);
    const proof = JSON.parse(stdout) as Proof;
    expect(code).toBe(proof.verdict === 'divergent' || proof.verdict === 'unknown' ? 1 : 0);
    return proof;
  };
  const place = async (changes: object = {}) => {
    const input = { orderId: randomUUID(), sku: 'kettle', quantity: 1, ...changes };
    await world.twinwrite.execute(placeOrder, input);
    return input;
  };
  const enter = async (points: number) => {
    const id = randomUUID();
    await world.twinwrite.execute(entry, { id, account: id, points });
    return id;
  };
  /** As the command does, without a process of its own. */
  const judgeDocument = async (orderId: string) => {
    const postgres = await readPostgresEntry(world.postgres, 'placeOrder', orderId);
    const references = [ordersProjection.document(orderId)];
    const documents = await readDocumentEvidence(world.postgres, world.mongo.db(), references);
    const evidence = { mongo: null, temporal: null, form: 'projection', documents } as const;
    return judge({ ...evidence, postgres: postgres ?? null });
  };
  const forgotten = () => ({ ...environmentOf(world), TEMPORAL_NAMESPACE: 'temporal-system' });
  const orders = () => world.mongo.db().collection<{ _id: string }>('orders');
  const mongoLedger = () => world.mongo.db().collection<{ _id: string }>('twinwrite_ledger');

  test('an applied update is proven by both ledgers, its document and its history', async () => {
    const { orderId } = await place();
    const { code, stdout, stderr } = await run(['placeOrder', orderId]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(`placeOrder ${orderId}: proven\n`);
    expect(stdout).toMatch(
      /PostgreSQL ledger {2}applied since .*: Postgres applied, Mongo applied/,
    );
    expect(stdout).toMatch(
      new RegExp(`Document +orders/${orderId}: PostgreSQL version (\\d+); MongoDB version \\1\n`),
    );
    expect(stdout).toContain(
      `Temporal           placeOrder/${orderId} completed, answered applied`,
    );
    expect(stdout).toContain('Mongo leg: settled as applied');
  });

  test('what was taken back, and what was refused, is proven as well', async () => {
    const { orderId } = await place({ giftNote: 'x'.repeat(121) });
    const refused = await place({ sku: 'nobody-sells-it' });
    const [compensated, never, applied, undone] = await Promise.all([
      prove('placeOrder', orderId),
      prove('placeOrder', refused.orderId),
      prove('transactionEntry', await enter(1)),
      prove('transactionEntry', await enter(1_000)),
    ]);
    for (const proof of [compensated, never, applied, undone]) {
      expect(proof).toMatchObject({ verdict: 'proven', findings: [], gaps: [] });
    }
  });

  test('when Temporal has forgotten it, the stores are compared alone; the documents with --input', async () => {
    const input = await place();
    const file = join(folder, 'order.json');
    writeFileSync(file, JSON.stringify(input));
    const [alone, withInput] = await Promise.all([
      run(['placeOrder', input.orderId], forgotten()),
      run(['placeOrder', input.orderId, '--input', file, '--json'], forgotten()),
    ]);
    expect(alone.code).toBe(0);
    expect(alone.stdout).toContain(`placeOrder ${input.orderId}: not disproven`);
    expect(alone.stdout).toContain('Temporal           has forgotten it');
    expect(alone.stdout).toContain('or --input gives');
    expect(JSON.parse(withInput.stdout)).toMatchObject({
      verdict: 'proven',
      evidence: { temporal: null, documents: [{ document: `orders/${input.orderId}` }] },
    });
    writeFileSync(file, JSON.stringify({ ...input, quantity: 2 }));
    const other = await run(['placeOrder', input.orderId, '--input', file]);
    expect(other.code).toBe(2);
    expect(other.stderr).toContain('is not the one that placeOrder');
  });

  test.each([
    [
      'a field that somebody changed',
      'ghost',
      { $set: { quantity: 7 } },
      /in quantity: somebody wrote past Twinwrite/,
    ],
    [
      'an earlier version',
      'stale',
      { $set: { '_tw.version': Long.fromNumber(0) } },
      /version \d+ in PostgreSQL, 0 in MongoDB/,
    ],
    [
      'a later version',
      'Mongo ahead',
      { $set: { '_tw.version': Long.fromString('1099511627777') } },
      /1099511627777 in MongoDB/,
    ],
    [
      'a tombstone',
      'ghost',
      { $set: { '_tw.live': false } },
      /there in PostgreSQL, and gone in MongoDB/,
    ],
  ])('a document with %s is found: %s', async (_, kind, change, says) => {
    const { orderId } = await place();
    await orders().updateOne({ _id: orderId }, change, { bypassDocumentValidation: true });
    expect(await judgeDocument(orderId)).toMatchObject({
      verdict: 'divergent',
      findings: [{ kind, says: expect.stringMatching(says) }],
    });
  });

  test('a document that is missing is found, and the command fails', async () => {
    const { orderId } = await place();
    await orders().deleteOne({ _id: orderId });
    const { verdict, findings } = await prove('placeOrder', orderId);
    expect(verdict).toBe('divergent');
    expect(findings).toEqual([
      { kind: 'lost', says: `orders/${orderId} has a version in PostgreSQL, and none in MongoDB.` },
    ]);
  });

  test('ledgers that disagree are found, and a store that forgot', async () => {
    const [lost, orphan, gone, told] = await Promise.all([
      enter(1),
      enter(1_000),
      enter(1),
      enter(1),
    ]);
    await mongoLedger().deleteOne({ _id: `transactionEntry/${lost}` });
    await mongoLedger().updateOne(
      { _id: `transactionEntry/${orphan}` },
      { $set: { state: 'applied' } },
    );
    await world.postgres.query('delete from twinwrite.ledger where token = $1', [gone]);
    await world.postgres.query(
      `update twinwrite.ledger set state = 'undone', reason = '{"code":"Cancelled","message":"x"}' where token = $1`,
      [told],
    );
    const proofs = await Promise.all(
      [lost, orphan, gone, told].map((token) => prove('transactionEntry', token)),
    );
    const kinds = proofs.map(({ findings }) => findings.map(({ kind }) => kind));
    expect(kinds).toEqual([['lost'], ['orphan'], ['orphan'], ['orphan', 'contradiction']]);
  });

  test('what is not settled is in flight, and stuck once it is overdue and nobody runs it', async () => {
    await worker.stop();
    const id = randomUUID();
    const handle = await world.twinwrite.submit(entry, { id, account: id, points: 1 });
    expect(await prove('transactionEntry', id)).toMatchObject({ verdict: 'in flight' });
    await world.temporal.workflow.getHandle(handle.workflowId).terminate('by the test');
    await world.postgres.query(
      `select twinwrite.claim_or_wait('transactionEntry', $1, 'x', 'gone', 'transaction', true, '{}', '{}', '{}', '-1 second')`,
      [id],
    );
    const { findings } = await prove('transactionEntry', id);
    expect(findings).toEqual([{ kind: 'stuck', says: expect.stringContaining('no workflow') }]);
    worker = await world.startWorker({ updates: [placeOrder, entry] });
  });

  test('a token that nobody knows', async () => {
    const { code, stderr } = await run(['placeOrder', 'no-such-order']);
    expect(code).toBe(1);
    expect(stderr).toContain('is not known to Temporal');
  });
});
