/**
 * Goal: a start that is refused stands in nobody's way, is seen by somebody, and heals. Method: rows
 * that Temporal, the ledger or the relay refuse, before others in the table; the log, the metrics
 * and the view of a worker on real servers.
 */
import { randomUUID } from 'node:crypto';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pino from 'pino';
import { submitInTransaction } from 'twinwrite';
import { countedTransaction, effectsOf, prepareEffects } from '../support/counted-definitions';
import { eventually } from '../support/eventually';
import { openWorld, type RunningWorker, type World } from '../support/world';
import { counted, type EnlistedRow, enlistedRows, metricsOf, ONCE } from './enlisting';

describe('a start that is refused', () => {
  const definition = countedTransaction();
  const lines: Record<string, unknown>[] = [];
  let world: World;
  let worker: RunningWorker;

  beforeAll(async () => {
    world = await openWorld();
    await prepareEffects(world);
    const sink = new Writable({
      write: (line: Buffer, _encoding, done) => {
        lines.push(JSON.parse(line.toString()) as Record<string, unknown>);
        done();
      },
    });
    const logger = pino({ level: 'warn' }, sink);
    worker = await world.startWorker({ updates: [definition], logger, health: { port: 0 } });
  });

  afterAll(async () => {
    await worker.stop();
    await world.close();
  });

  const enlist = (input: { id: string; refusedBy?: 'mongo' }, taskQueue = world.name) =>
    submitInTransaction(
      (sql, parameters) => world.postgres.query(sql, parameters),
      definition,
      input,
      { taskQueue },
    );

  /** Changes a row that no relay looks at, and hands it over. */
  const handOver = (token: string, change = 'at = at') =>
    world.postgres.query(
      `update twinwrite.outbox set ${change}, task_queue = $2, due = clock_timestamp() where token = $1`,
      [token, world.name],
    );

  const parked = async (token: string): Promise<EnlistedRow> =>
    await eventually(async () => {
      const rows = await enlistedRows(world.postgres, definition);
      return rows.find((row) => row.token === token && row.state === 'parked');
    }, 'it is parked');

  const isGone = async (token: string) => {
    await eventually(async () => {
      const rows = await enlistedRows(world.postgres, definition);
      return rows.every((row) => row.token !== token) || undefined;
    }, 'its row is gone');
  };

  test('by Temporal is parked with the reason, logged and counted; those behind it are started; mended, it is', async () => {
    const [broken, behind] = [counted(), counted()];
    await enlist(broken, 'nowhere');
    // More than Temporal takes for the arguments of a workflow.
    await handOver(broken.id, `entities = json_build_array(repeat('x', 3000000))`);
    const next = await enlist(behind);
    expect(await world.twinwrite.handle(next).outcome()).toMatchObject({ status: 'applied' });
    const row = await parked(broken.id);
    expect(row.parked).toMatch(/^RefusedByTemporal: .*exceeds limit/);
    expect(lines).toContainEqual(
      expect.objectContaining({ level: 50, definition: definition.name, token: broken.id }),
    );
    const labels = `{definition="${definition.name}",code="RefusedByTemporal"}`;
    const metrics = await metricsOf(worker);
    expect(
      metrics
        .get('twinwrite_outbox_parked_total')
        ?.samples.get(`twinwrite_outbox_parked_total${labels}`),
    ).toBeGreaterThan(0);
    await handOver(broken.id, `entities = '[]'`);
    await isGone(broken.id);
    const handle = world.twinwrite.handle(definition, broken.id);
    expect(await handle.outcome()).toMatchObject({ status: 'applied' });
    expect(await effectsOf(world, definition, broken.id)).toEqual(ONCE);
  });

  test('again and again is tried ever more rarely', async () => {
    const { id } = counted();
    await enlist({ id }, 'nowhere');
    await handOver(id, `token = E'a\\nb${id}'`);
    const row = await eventually(async () => {
      const { rows } = await world.postgres.query<{ attempts: number; wait: number }>(
        `select attempts, extract(epoch from due - clock_timestamp())::float8 as wait
          from twinwrite.outbox where token like '%' || $1 and attempts >= 3`,
        [id],
      );
      return rows[0];
    }, 'three attempts have failed');
    expect(row.wait).toBeGreaterThan(2);
    await world.postgres.query(`delete from twinwrite.outbox where token like '%' || $1`, [id]);
  });

  test('F11: because a run of the token has another input, it is TokenReused and the run goes on', async () => {
    const { id } = counted();
    await enlist({ id, refusedBy: 'mongo' }, 'nowhere');
    const holder = await world.postgres.connect();
    await holder.query('begin; lock table effect in exclusive mode');
    const rightful = await world.twinwrite.submit(definition, { id });
    await handOver(id);
    const row = await parked(id).finally(() => holder.release(true));
    expect(row.parked).toMatch(/^TokenReused: /);
    expect(await rightful.outcome()).toMatchObject({ status: 'applied' });
    // The rightful input is enlisted beside it.
    await world.twinwrite.handle(await enlist({ id })).outcome();
    expect(await effectsOf(world, definition, id)).toEqual(ONCE);
  });

  test('F11: because the ledger knows the token with another input, it is TokenReused and starts nothing', async () => {
    const { id } = counted();
    await enlist({ id, refusedBy: 'mongo' }, 'nowhere');
    await world.temporal.workflow.execute('crossStoreUpdate', {
      workflowId: `forgotten-${randomUUID()}`,
      taskQueue: world.name,
      args: [{ definition: definition.name, token: id, input: { id } }],
    });
    await handOver(id);
    expect((await parked(id)).parked).toMatch(/^TokenReused: /);
    const handle = world.twinwrite.handle(definition, id);
    await expect(handle.outcome()).rejects.toMatchObject({ code: 'UnknownUpdate' });
    expect(await effectsOf(world, definition, id)).toEqual(ONCE);
  });
});
