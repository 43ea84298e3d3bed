/**
 * Goal: the view `twinwrite.updates` tells every state of an update, and asking it for one token
 * stays cheap. Method: real updates in both forms, each brought to a state and looked at there; the
 * plan of a look among a hundred thousand.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  type Mark,
  type MarkDefinition,
  type MarkHooks,
  prepareMarks,
  projectionMark,
  startRaw,
  transactionMark,
} from '../../collector/marks';
import { eventually } from '../../support/eventually';
import { openWorld, type RunningWorker, type World } from '../../support/world';

describe('the view twinwrite.updates', () => {
  let world: World;
  let worker: RunningWorker;
  const hooks: MarkHooks = {};
  const held = new Set<string>();
  const projection = projectionMark(hooks);
  const transaction = transactionMark(hooks);
  const updates = [projection, transaction];
  const forms = updates.map((definition) => ({ form: definition.form, definition }));

  beforeAll(async () => {
    world = await openWorld();
    await prepareMarks(world);
    worker = await world.startWorker({ updates });
  });

  afterAll(async () => {
    await worker.stop();
    await world.close();
  });

  const look = async (id: string) =>
    (await world.postgres.query('select * from twinwrite.updates where token = $1', [id])).rows[0];

  /** What an update shows as soon as it is in a state; then what holds it is let go. */
  async function lookWhile(definition: MarkDefinition, mark: Mark, state: string) {
    const started = await startRaw(world, definition, mark);
    const row = await eventually(async () => {
      const found = await look(mark.id);
      return found?.state === state ? found : undefined;
    }, `the update is ${state}`);
    held.delete(mark.id);
    return { row, outcome: await started.result() };
  }

  const hold = (id: string) => {
    if (held.has(id)) throw new Error('held by the test');
  };

  test.each(forms)(
    'clause 11, $form: forward, with what driving it takes',
    async ({ definition }) => {
      // A projection's image is read once in the Postgres leg, before its claim is committed.
      hooks.mongo = whenClaimed(hold);
      const id = randomUUID();
      held.add(id);
      const { row, outcome } = await lookWhile(definition, { id }, 'forward');
      const documents = definition.form === 'projection' ? [`projected_marks/${id}`] : [];
      expect(row).toMatchObject({
        definition: definition.name,
        token: id,
        postgres_leg: 'applied',
        mongo_leg: 'pending',
        form: definition.form,
        undoable: true,
        entities: [],
        documents,
        workflow: expect.stringMatching(`^raw/${id}/`),
        result: '{"marked":true}',
        reason: null,
      });
      expect(row.due.getTime()).toBeGreaterThan(Date.now());
      expect(outcome).toMatchObject({ status: 'applied' });
      expect(await look(id)).toMatchObject({
        state: 'applied',
        postgres_leg: 'applied',
        mongo_leg: 'applied',
        form: null,
        due: null,
        workflow: `${definition.name}/${id}`,
        result: '{"marked":true}',
      });
    },
  );

  test.each(forms)(
    'clause 11, $form: undoing, with its reason, then compensated',
    async ({ definition }) => {
      delete hooks.mongo;
      hooks.undo = hold;
      const id = randomUUID();
      held.add(id);
      const { row } = await lookWhile(definition, { id, refusedBy: 'mongo' }, 'undoing');
      expect(row).toMatchObject({ postgres_leg: 'applied', mongo_leg: 'pending' });
      expect(JSON.parse(row.reason)).toMatchObject({ code: 'RefusedByMongo' });
      const settled = await look(id);
      expect(settled).toMatchObject({
        state: 'compensated',
        postgres_leg: 'undone',
        mongo_leg: 'undone',
        due: null,
      });
      expect(JSON.parse(settled.reason)).toMatchObject({ code: 'RefusedByMongo' });
    },
  );

  test('clause 14: whether an entity is in flight, in the words of the documentation', async () => {
    const [, asked = ''] =
      /```sql\n(.*?)\n```/s.exec(readFileSync('docs/guarantees.md', 'utf8')) ?? [];
    expect(asked).toContain("'stock:sku-7'");
    const id = randomUUID();
    const question = asked.replace("'stock:sku-7'", '$1');
    const ask = async () =>
      (await world.postgres.query(question, [`projected_marks/${id}`])).rows as object[];
    expect(await ask()).toEqual([]);
    hooks.mongo = whenClaimed(hold);
    held.add(id);
    const started = await startRaw(world, projection, { id });
    const inFlight = await eventually(async () => {
      const rows = await ask();
      return rows.length > 0 ? rows : undefined;
    }, 'its document is in flight');
    expect(inFlight).toEqual([{ definition: 'projectionMark', token: id, state: 'forward' }]);
    held.delete(id);
    await started.result();
    expect(await ask()).toEqual([]);
  });

  test.each(forms)('clause 11, $form: refused by apply', async ({ definition }) => {
    const id = randomUUID();
    await (await startRaw(world, definition, { id, refusedBy: 'apply' })).result();
    const row = await look(id);
    expect(row).toMatchObject(NEVER_RAN);
    expect(JSON.parse(row.reason)).toMatchObject({ code: 'RefusedByDefinition' });
  });

  test('clause 11: refused by a fence, in both forms', async () => {
    await worker.stop();
    const ids = new Map(updates.map((definition) => [randomUUID(), definition]));
    const handles = await Promise.all(
      [...ids].map(([id, definition]) => world.twinwrite.submit(definition, { id })),
    );
    for (const handle of handles) await handle.cancel();
    worker = await world.startWorker({ updates });
    for (const handle of handles) await handle.outcome();
    for (const id of ids.keys()) {
      const row = await look(id);
      expect(row).toMatchObject(NEVER_RAN);
      expect(JSON.parse(row.reason)).toMatchObject({ code: 'Cancelled' });
    }
  });

  test('clause 11: one token among 100,000 is found by the keys of both tables', async () => {
    await world.postgres.query(`
      insert into twinwrite.ledger (definition, token, state, ticket, fingerprint)
        select 'filler', gen_random_uuid(), 'applied', nextval('twinwrite.ticket'), '1:x' from generate_series(1, 100000);
      insert into twinwrite.pending (ticket, stage, definition, tokens, workflow, form, undoable, entities, documents, due)
        select ticket, 'forward', definition, array[token], 'w', 'projection', true, '{}', '{}', now()
        from twinwrite.ledger where definition = 'filler' limit 1000;
      analyze twinwrite.ledger; analyze twinwrite.pending`);
    const { rows } = await world.postgres.query(
      `explain select * from twinwrite.updates where definition = 'filler' and token = 'x'`,
    );
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    expect(plan).toContain('ledger_pkey');
    expect(plan).toContain('pending_pkey');
    expect(plan).not.toContain('Seq Scan');
  });

  /** Runs a hook only for updates whose claim is committed. */
  function whenClaimed(hook: (id: string) => void) {
    return async (id: string) => {
      if ((await look(id)) !== undefined) hook(id);
    };
  }
});

const NEVER_RAN = {
  state: 'refused',
  postgres_leg: 'never ran',
  mongo_leg: 'never ran',
  result: null,
  form: null,
  due: null,
};
