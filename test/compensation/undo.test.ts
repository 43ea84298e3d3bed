/**
 * Goal: clause 5: an undo that fails for a while is run again until it works, and one that cannot
 * work parks the update: it keeps its hold, tells everybody who may look, tries again slowly, and
 * goes on once the cause is mended. Clause 6: so does a refusal that has no way back. Method: undos
 * that PostgreSQL refuses or that have a bug, in real workers whose log and metrics are read.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pino from 'pino';
import type { UpdateHandle } from 'twinwrite';
import { registerSearchAttributes } from '../../src/client/register-search-attributes';
import { eventually } from '../support/eventually';
import { openWorld, type RunningWorker, type World } from '../support/world';
import { readPrometheusText } from '../worker/fixtures/prometheus-text';
import { expectAgreement } from './agreement';
import { parkingOf } from './parking';
import { Steering } from './steering';
import {
  type Kind,
  prepareTransfers,
  stateOf,
  TOO_MANY,
  type Transfer,
  transfer,
  transferKinds,
} from './transfers';

interface Hopeless {
  readonly what: string;
  readonly kind: Kind;
  readonly leg: string;
  readonly code: string;
  readonly reason: string;
  readonly begin: (kind: Kind, input: Transfer) => Promise<UpdateHandle>;
  readonly spoil: (input: Transfer) => Promise<unknown>;
  readonly mend: (input: Transfer) => Promise<unknown>;
}

describe('an undo that fails', () => {
  let world: World;
  let worker: RunningWorker;
  const steering = new Steering();
  const kinds = transferKinds(steering);
  const lines: Record<string, unknown>[] = [];

  beforeAll(async () => {
    world = await openWorld();
    await prepareTransfers(world);
    await world.postgres.query(`
      alter table balance add check (points >= 0);
      create table kept (id text primary key);
      create function keep() returns trigger language plpgsql as $$ begin
        if exists (select from kept where kept.id = old.id) then raise exception 'entry % is kept', old.id; end if;
        return old;
      end $$;
      create trigger keep before delete on entry for each row execute function keep()`);
    await registerSearchAttributes(world.temporal);
    const logger = pino(
      {},
      { write: (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>) },
    );
    worker = await world.startWorker({
      updates: Object.values(kinds),
      logger,
      health: { port: 0 },
    });
    running = new Map(Object.entries(STORIES).map(([name, story]) => [name, story()]));
    for (const story of running.values()) story.catch(() => {});
  });

  afterAll(async () => {
    await worker.stop();
    await world.close();
  });

  const { attributesOf, holds, isParked, retry, workflowOf } = parkingOf(() => world);

  const wasParked = (id: string) =>
    lines.some(({ token, answer }) => token === id && answer === 'parked');

  /** Refused by MongoDB: a projection and a transaction are undone in Postgres. */
  const refused = async (kind: Kind, input: Transfer) =>
    await world.twinwrite.submit(kind, { ...input, points: TOO_MANY });

  /** Cancelled after MongoDB has committed, which the lock of a hold's row keeps from settling. */
  const cancelledLate = async (kind: Kind, input: Transfer) => {
    const lock = await world.postgres.connect();
    try {
      const gate = steering.gate('mongo apply', input.id);
      const handle = await world.twinwrite.submit(kind, input);
      await gate.reached();
      await lock.query('begin');
      const key = `account:${input.account}`;
      await lock.query('select from twinwrite.entity where key = $1 for update', [key]);
      gate.open();
      await handle.cancel();
      await eventually(
        () => (steering.runs('mongo undo', input.id) > 0 ? true : undefined),
        'the undo in MongoDB is begun',
      );
      await lock.query('rollback');
      return handle;
    } finally {
      lock.release(true);
    }
  };

  const WAYS = [
    { what: 'Postgres, for a projection', kind: kinds.projection, moment: 'undo', begin: refused },
    {
      what: 'Postgres, for a transaction',
      kind: kinds.transaction,
      moment: 'undo',
      begin: refused,
    },
    {
      what: 'MongoDB, for a transaction',
      kind: kinds.transaction,
      moment: 'mongo undo',
      begin: cancelledLate,
    },
  ] as const;

  const fiveTimes = async (): Promise<void> => {
    await Promise.all(
      WAYS.map(async ({ kind, moment, begin }) => {
        const input = transfer();
        steering.at(moment, input.id, (run) => {
          if (run <= 5) throw new TypeError('fails for a while');
        });
        const handle = await begin(kind, input);
        expect(await handle.outcome()).toMatchObject({ status: 'compensated' });
        expect(steering.runs(moment, input.id)).toBe(6);
        expect(wasParked(input.id)).toBe(false);
        await expectAgreement(world, kind, input, 'compensated');
      }),
    );
  };

  /** Undos that cannot work until somebody does something. */
  const HOPELESS: readonly Hopeless[] = [
    ...WAYS.map(({ what, kind, moment, begin }) => ({
      what: `a bug in the undo in ${what}`,
      kind,
      begin,
      leg: moment === 'undo' ? 'undoPostgres' : 'fenceMongo',
      code: 'TypeError',
      reason: 'undo is not a function',
      spoil: async ({ id }: Transfer) => {
        steering.at(moment, id, () => {
          throw new TypeError('undo is not a function');
        });
      },
      mend: async ({ id }: Transfer) => {
        steering.at(moment, id, () => {});
      },
    })),
    {
      what: 'a RAISE of a trigger',
      kind: kinds.projection,
      begin: refused,
      leg: 'undoPostgres',
      code: 'SQLSTATE P0001',
      reason: 'PostgreSQL answered SQLSTATE P0001',
      spoil: async ({ id }: Transfer) =>
        await world.postgres.query('insert into kept (id) values ($1)', [id]),
      mend: async ({ id }: Transfer) =>
        await world.postgres.query('delete from kept where id = $1', [id]),
    },
    {
      what: 'a constraint that the undo would break',
      kind: kinds.projection,
      begin: refused,
      leg: 'undoPostgres',
      code: 'SQLSTATE 23514',
      reason: 'PostgreSQL answered SQLSTATE 23514',
      // Somebody spends the points past Twinwrite, which no hold prevents.
      spoil: async ({ id, account }: Transfer) => {
        steering.at('image', id, async (run) => {
          if (run === 2) await change(account, -1);
        });
      },
      mend: async ({ account }: Transfer) => await change(account, 1),
    },
  ];

  const change = async (account: string, points: number): Promise<void> => {
    await world.postgres.query('update balance set points = points + $2 where account = $1', [
      account,
      points,
    ]);
  };

  const forEver = async (): Promise<void> => {
    await Promise.all(
      HOPELESS.map(async ({ kind, begin, leg, code, reason, spoil, mend }) => {
        const input = transfer();
        await spoil(input);
        const handle = await begin(kind, input);
        await holds(input.id);
        // It goes on as soon as the one before it is settled, and changes no balance.
        const behind = transfer({ account: input.account, points: 0 });
        const waiter = await world.twinwrite.submit(kinds.projectionOnly, behind);
        expect(await isParked(handle)).toContain(reason);
        await expectVisible(handle, { leg, code, reason });
        // What was held is held.
        expect(await stateOf(world, behind.id)).toBe('queued');
        await handle.cancel();
        await mend(input);
        await retry(handle);
        expect(await handle.outcome()).toMatchObject({ status: 'compensated' });
        await expectAgreement(world, kind, input, 'compensated');
        expect(await attributesOf(handle)).toMatchObject({ TwinwriteOutcome: 'compensated' });
        expect(await waiter.outcome()).toMatchObject({ status: 'applied' });
      }),
    );
  };

  const expectVisible = async (
    handle: UpdateHandle,
    { leg, code, reason }: { leg: string; code: string; reason: string },
  ) => {
    const { definition, token } = handle;
    const attempts = lines.filter((line) => line['token'] === token && line['leg'] === leg);
    expect(attempts.map(({ level, answer }) => [level, answer]).at(-1)).toEqual([50, 'parked']);
    expect(attempts).toHaveLength(6);
    expect(await attributesOf(handle)).toMatchObject({
      TwinwriteDefinition: definition,
      TwinwriteOutcome: 'parked',
    });
    const { rows } = await world.postgres.query(
      'select state, parked from twinwrite.updates where token = $1',
      [token],
    );
    expect(rows).toEqual([
      { state: 'parked', parked: expect.stringContaining(`${leg}: ${reason}`) },
    ]);
    const metrics = readPrometheusText(await (await fetch(`${worker.health?.url}/metrics`)).text());
    const counter = `twinwrite_parked_total{definition="${definition}",leg="${leg}",code="${code}"}`;
    expect(metrics.get('twinwrite_parked_total')?.samples.get(counter)).toBeGreaterThanOrEqual(1);
    const workflow = workflowOf(handle);
    const { currentDetails } = await workflow.query<{ currentDetails: string }>(
      '__temporal_workflow_metadata',
    );
    expect(currentDetails).toContain('needs somebody');
    expect(currentDetails).toContain(`twinwrite retry ${definition} ${token}`);
    // Nobody has to tell it: it tries again by itself, half a minute later.
    const events = (await workflow.fetchHistory()).events ?? [];
    const timers = events.flatMap(({ timerStartedEventAttributes: timer }) => timer ?? []);
    expect(timers.map(({ startToFireTimeout }) => Number(startToFireTimeout?.seconds))).toEqual([
      30,
    ]);
  };

  const bugInPostgresLeg = async (): Promise<void> => {
    const input = transfer();
    steering.at('apply', input.id, () => {
      throw new TypeError('apply is not a function');
    });
    const handle = await world.twinwrite.submit(kinds.projection, input);
    expect(await isParked(handle)).toContain('apply is not a function');
    await handle.cancel();
    expect(await handle.outcome()).toMatchObject({
      status: 'refused',
      reason: { code: 'Cancelled' },
    });
    expect(await handle.progress()).not.toHaveProperty('parked');
    expect(await attributesOf(handle)).toMatchObject({ TwinwriteOutcome: 'refused' });
    await expectAgreement(world, kinds.projection, input, 'refused');
  };

  const bugInMongoLeg = async (): Promise<void> => {
    const input = transfer();
    steering.at('mongo apply', input.id, () => {
      throw new TypeError('apply is not a function');
    });
    const handle = await world.twinwrite.submit(kinds.transaction, input);
    await isParked(handle);
    await handle.cancel();
    expect(await handle.outcome()).toMatchObject({ status: 'compensated' });
    await expectAgreement(world, kinds.transaction, input, 'compensated');
  };

  // Six attempts take seconds, so all of it happens at once, and each test waits for its own.
  const STORIES = {
    'five times and then works has undone it once, and needed nobody, in either store': fiveTimes,
    'for ever parks the update: visible, held, slow, and compensated once the cause is mended':
      forEver,
    'is not reached by what is parked by a bug in its Postgres leg and cancelled: it is refused':
      bugInPostgresLeg,
    'is run by what is parked by a bug in its Mongo leg and cancelled': bugInMongoLeg,
  };
  let running: Map<string, Promise<void>>;

  test.each(Object.keys(STORIES))('%s', async (name) => {
    await running.get(name);
  });
});
