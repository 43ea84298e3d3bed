/**
 * Goal: clause 7 on an entity that everybody wants: both stores see its updates in one order, and
 * nobody is passed over. Method: a hundred updates at once on one line, of each kind, through real
 * workflows and a worker with a pool of ten; each appends its token to a list in both stores. A
 * change stream follows what MongoDB shows meanwhile.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { RunningWorker } from '../support/world';
import { recordAttempts } from './attempts';
import { Images, type SeenImage } from './images';
import { defineLines } from './lines';
import { LinesWorld, type Lists, UNWELCOME } from './lines-world';

type Kind = keyof ReturnType<typeof defineLines>;

/** How many updates of each kind meet. */
const RUSH = 100;

/** What became of the updates of one kind that met on one line. */
interface Rush {
  readonly ids: readonly string[];
  readonly statuses: readonly string[];
  readonly lists: Lists;
  /** Those that had to wait, in the order of their tickets. */
  readonly waiters: readonly string[];
  readonly seen: readonly SeenImage[];
}

describe('a hot entity', () => {
  const kinds = defineLines();
  const { logger, attempts } = recordAttempts();
  let lines: LinesWorld;
  let worker: RunningWorker;
  let rushes: Readonly<Record<Kind, Rush>>;

  beforeAll(async () => {
    lines = await LinesWorld.open();
    worker = await lines.world.startWorker({
      updates: Object.values(kinds),
      postgres: lines.pool,
      logger,
    });
    // All kinds at once: each waits for its own line, and the worker for nobody.
    const [transaction, forwardTransaction, projection, freeProjection] = await Promise.all([
      rush('transaction'),
      rush('forwardTransaction'),
      rush('projection'),
      rush('freeProjection'),
    ]);
    rushes = { transaction, forwardTransaction, projection, freeProjection };
  });

  afterAll(async () => {
    await worker.stop();
    await lines.close();
  });

  /** In ticket order, those of the tokens who had to wait. */
  const waitersOf = async (wanted: readonly string[]) => {
    const { rows } = await lines.world.postgres.query<{ token: string }>(
      'select token from twinwrite.ledger where token = any($1) order by ticket',
      [wanted],
    );
    const waited = new Set(
      attempts.filter(({ answer }) => answer === 'waiting').map(({ token }) => token),
    );
    return rows.map(({ token }) => token).filter((token) => waited.has(token));
  };

  const rush = async (kind: Kind): Promise<Rush> => {
    const definition = kinds[kind];
    const line = await lines.openLine();
    const images = await Images.of(lines.world, line);
    const ids = Array.from({ length: RUSH }, () => randomUUID());
    const outcomes = await Promise.all(
      ids.map((id) => lines.world.twinwrite.execute(definition, { id, lines: [line] })),
    );
    const lists = await lines.listsOf(line, definition.form);
    if (definition.form === 'projection') await images.reach(lists.postgres.length);
    await images.close();
    const statuses = outcomes.map(({ status }) => status);
    return { ids, statuses, lists, waiters: await waitersOf(ids), seen: images.seen };
  };

  test.each([
    ['in the transaction form with an undo', 'transaction'],
    ['in the transaction form without one (F1)', 'forwardTransaction'],
    ['in the projection form with an undo', 'projection'],
    ['in the projection form without one', 'freeProjection'],
  ] as const)(
    'clause 7: updates %s have one order in both stores, and all are applied',
    (_, kind) => {
      const { ids, statuses, lists } = rushes[kind];
      expect(statuses.filter((status) => status !== 'applied')).toEqual([]);
      expect([...lists.postgres].sort()).toEqual([...ids].sort());
      expect(lists.mongo).toEqual(lists.postgres);
    },
  );

  test.each(['transaction', 'forwardTransaction', 'projection'] as const)(
    'clause 7: among those that wait nobody is overtaken, whatever joins meanwhile (%s)',
    (kind) => {
      const { lists, waiters } = rushes[kind];
      expect(waiters.length).toBeGreaterThan(20);
      const waited = new Set(waiters);
      expect(lists.postgres.filter((token) => waited.has(token))).toEqual(waiters);
    },
  );

  test('clause 7: MongoDB shows every state of updates that hold their document', () => {
    const { seen, lists } = rushes.projection;
    expectNeverBack(seen, lists.postgres);
    expect(seen).toHaveLength(lists.postgres.length);
  });

  test('clause 7: MongoDB may skip a state of free updates, and never goes back', () => {
    const { seen, lists } = rushes.freeProjection;
    expectNeverBack(seen, lists.postgres);
  });

  test('clause 7, F2: a free update never carries what another one takes back', async () => {
    const line = await lines.openLine();
    const images = await Images.of(lines.world, line);
    const wanted = Array.from({ length: 24 }, (_, index) => ({
      id: index % 4 === 0 ? `${UNWELCOME}-${randomUUID()}` : randomUUID(),
      definition: index % 2 === 0 ? kinds.projection : kinds.freeProjection,
    }));
    const outcomes = await Promise.all(
      wanted.map(({ id, definition }) =>
        lines.world.twinwrite.execute(definition, { id, lines: [line] }),
      ),
    );
    const expected = wanted.map(({ id }) => (id.startsWith(UNWELCOME) ? 'compensated' : 'applied'));
    expect(outcomes.map(({ status }) => status)).toEqual(expected);
    const { postgres, mongo } = await lines.listsOf(line, 'projection');
    expect(postgres).toHaveLength(18);
    expect(mongo).toEqual(postgres);
    // MongoDB would have refused an image that shows one: no free update was ever refused.
    expect(attempts.filter(({ answer }) => answer === 'parked')).toEqual([]);
    await images.reach(postgres.length);
    await images.close();
    const shown = images.seen.flatMap(({ tokens }) => tokens);
    expect(shown.filter((token) => token.startsWith(UNWELCOME))).toEqual([]);
  });

  test('clause 7, F3: a version is of the document, and not of the entity that it moves away from', async () => {
    const line = await lines.openLine();
    const [busy, quiet] = [`shelf:${randomUUID()}`, `shelf:${randomUUID()}`];
    const visit = async (id: string, entity: string) =>
      await lines.world.twinwrite.execute(kinds.projection, {
        id,
        lines: [line],
        entities: [entity],
      });
    for (const id of ['first', 'second', 'third']) await visit(`${line}-${id}`, busy);
    await visit(`${line}-moved`, quiet);
    const { postgres, mongo } = await lines.listsOf(line, 'projection');
    expect(postgres.at(-1)).toBe(`${line}-moved`);
    expect(mongo).toEqual(postgres);
  });
});

/** Every image that was seen is what the line was at some moment, each later than the one before. */
function expectNeverBack(seen: readonly SeenImage[], order: readonly string[]): void {
  const lengths = seen.map(({ tokens }) => tokens.length);
  expect(seen.map(({ tokens }) => tokens)).toEqual(lengths.map((length) => order.slice(0, length)));
  expect(lengths).toEqual([...new Set(lengths)].sort((a, b) => a - b));
  const versions = seen.map(({ version }) => version);
  expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
}
