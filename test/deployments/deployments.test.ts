/**
 * Goal: what a deploy can mend is never compensated and never lost: it is retried slowly, it is
 * loud, and it finishes after the mended build is deployed, while the broken one still runs; what
 * was recorded with the claim is not asked of a later build (clause 10, F28, F30). Method: a table
 * of broken builds, all in one worker, beside a second worker with the mended ones.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { NativeConnection } from '@temporalio/worker';
import pino from 'pino';
import type { UpdateHandle } from 'twinwrite';
import * as mongoLeg from '../../src/activities/mongo/leg';
import * as postgresLeg from '../../src/activities/postgres/leg';
import { UpdateInHand } from '../../src/activities/update-in-hand';
import { workflowIdOf } from '../../src/domain/token';
import { eventually } from '../support/eventually';
import { openWorld, type RunningWorker, type World } from '../support/world';
import { readPrometheusText } from '../worker/fixtures/prometheus-text';
import { notesOf, prepareNotes, transactionBuild } from './builds';
import { CASES, type Case } from './cases';

/** A change that breaks nothing: the claim has recorded what it holds. */
const RENAMED = {
  what: 'other entities than the claim has (F30)',
  broken: transactionBuild('entitiesRenamed', { entities: ({ id }) => [`renamed:${id}`] }),
  good: transactionBuild('entitiesRenamed'),
  before: 'claimed',
} as const;

describe('a broken build', () => {
  let world: World;
  let brokenWorker: RunningWorker;
  let goodWorker: RunningWorker | undefined;
  let connection: NativeConnection | undefined;
  const lines: Record<string, unknown>[] = [];
  const submitted = new Map<Case, { id: string; handle: UpdateHandle }>();
  const stores = () => ({
    postgres: { pool: world.postgres, callTurns: () => {} },
    mongo: { client: world.mongo, db: world.mongo.db() },
  });

  beforeAll(async () => {
    world = await openWorld();
    await prepareNotes(world);
    const write = (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>);
    brokenWorker = await world.startWorker({
      updates: [...CASES.flatMap(({ broken }) => broken ?? []), RENAMED.broken],
      logger: pino({}, { write }),
      health: { port: 0 },
    });
    await Promise.all(
      CASES.map(async (deployed) => {
        const id = randomUUID();
        const note = { id, text: deployed.what };
        await byEarlierBuild(deployed, note);
        const handle = await world.twinwrite.submit(deployed.good, note);
        submitted.set(deployed, { id, handle });
      }),
    );
  });

  afterAll(async () => {
    await brokenWorker.stop();
    await goodWorker?.stop();
    await connection?.close();
    await world.close();
  });

  const of = (deployed: Case) => {
    const found = submitted.get(deployed);
    if (found === undefined) throw new Error(`${deployed.what} was not submitted`);
    return found;
  };

  /** What an earlier build's worker did before it was gone, step by step, and no workflow knows. */
  const byEarlierBuild = async (
    { good, before }: Pick<Case, 'good' | 'before'>,
    note: { id: string; text: string },
  ) => {
    if (before === 'nothing') return;
    const inHand = (token: string) =>
      new UpdateInHand(
        good,
        { definition: good.name, token, input: { ...note, id: token } },
        workflowIdOf(good.name, token),
      );
    if (before === 'queued') {
      // Its one entity is held when it is claimed, and free when it is driven: it has its turn.
      await world.postgres.query(
        `insert into twinwrite.entity (key, version, holder) values ('note:' || $1, 1, 0)`,
        [note.id],
      );
    }
    const update = inHand(note.id);
    const { postgres, mongo } = stores();
    const claimed = await postgresLeg.applyPostgres(postgres, update);
    if (before === 'queued') {
      await world.postgres.query('update twinwrite.entity set holder = null where holder = 0');
    }
    if (before === 'undoing, with MongoDB applied' && claimed.at === 'forward') {
      await mongoLeg.applyMongo(mongo, world.postgres, update, claimed.claim);
    }
    if (before.startsWith('undoing')) {
      const reason = { code: 'Cancelled', message: 'by the test' } as const;
      await postgresLeg.fencePostgres(postgres, update, reason);
    }
  };

  test.each(CASES)(
    'with $what parks the update, loudly, and compensates nothing',
    async (deployed) => {
      const { leg, code, good } = deployed;
      const { id, handle } = of(deployed);
      await eventually(
        async () => (await handle.progress()).parked,
        `${deployed.what} is parked`,
        40_000,
      );
      const attempts = lines.filter(
        (line) => line['token'] === id && line['leg'] === leg && line['driver'] === 'workflow',
      );
      expect(attempts.at(-1)).toMatchObject({ level: 50, answer: 'parked', attempt: 6 });
      const text = await (await fetch(`${brokenWorker.health?.url}/metrics`)).text();
      const counted = readPrometheusText(text).get('twinwrite_parked_total')?.samples;
      const counter = `twinwrite_parked_total{definition="${good.name}",leg="${leg}",code="${code}"}`;
      expect(counted?.get(counter)).toBeGreaterThanOrEqual(1);
      const { rows } = await world.postgres.query<{ state: string; outcome: boolean }>(
        `select u.state from twinwrite.updates u where u.token = $1`,
        [id],
      );
      // Before the claim there is no row, and after it the ledger says what the workflow says.
      const isClaimed = deployed.before !== 'nothing' || leg !== 'applyPostgres';
      expect(rows).toEqual(isClaimed ? [{ state: 'parked' }] : []);
    },
  );

  test('F30: with other entities than the claim has, it finishes, and releases what was recorded', async () => {
    const { good, broken } = RENAMED;
    const note = { id: randomUUID(), text: 'a' };
    await byEarlierBuild(RENAMED, note);
    const holds = async () =>
      (
        await world.postgres.query<{ key: string }>(
          'select key from twinwrite.entity where holder is not null and key like $1',
          [`%${note.id}`],
        )
      ).rows;
    expect(await holds()).toEqual([{ key: `note:${note.id}` }]);
    const outcome = await world.twinwrite.execute(broken, note);
    expect(outcome).toMatchObject({ status: 'applied' });
    expect(await holds()).toEqual([]);
    expect(await notesOf(world, good, note.id)).toEqual({ postgres: true, mongo: true });
  });

  test('beside the mended one is no harm: every update finishes as if it had never been', async () => {
    // Two workers on one queue need a connection each.
    connection = await NativeConnection.connect({ address: world.addresses.temporalAddress });
    goodWorker = await world.startWorker({
      updates: CASES.map(({ good }) => good),
      temporal: { connection },
    });
    await world.postgres.query('update twinwrite.entity set holder = null where holder = 0');
    await Promise.all(
      CASES.map(async (deployed) => {
        const { id, handle } = of(deployed);
        const workflow = world.temporal.workflow.getHandle(handle.workflowId);
        // Half of the attempts meet the broken build, so it may be parked once more.
        const settled = await eventually(
          async () => {
            const { parked, outcome } = await handle.progress();
            if (parked !== undefined) await workflow.signal('retry');
            return outcome;
          },
          `${deployed.what} is settled`,
          60_000,
        );
        const { status } = await handle.outcome();
        expect({ what: deployed.what, status }).toEqual({
          what: deployed.what,
          status: deployed.ends,
        });
        expect(settled.status).toBe(status);
        const isThere = status === 'applied';
        expect(await notesOf(world, deployed.good, id)).toEqual({
          postgres: isThere,
          mongo: isThere,
        });
      }),
    );
    const { rows } = await world.postgres.query('select from twinwrite.pending');
    expect(rows).toEqual([]);
    const held = await world.postgres.query(
      'select from twinwrite.entity where holder is not null or waiting > 0',
    );
    expect(held.rows).toEqual([]);
  });
});
