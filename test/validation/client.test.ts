/**
 * Goal: what JSON or one of the stores would change is refused by the client, with path and reason,
 * before anything is started; everything else is the same in the history, in both stores and in the
 * result (clause 2, H16, H17). Method: the table of hazards, with definitions that let anything in.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { defaultPayloadConverter } from '@temporalio/common';
import { openWorld, type RunningWorker, type World } from '../support/world';
import { CARRIERS, prepareCarriers, tracesOf } from './carriers';
import { HAZARDS, type Hazard, inputPath } from './hazards';

const ofProgram = HAZARDS.filter((hazard) => 'value' in hazard);
const refusedRows = ofProgram.filter(({ refused }) => refused !== undefined);
const carriedRows = ofProgram.filter(({ refused }) => refused === undefined);

let world: World;
let worker: RunningWorker;

beforeAll(async () => {
  world = await openWorld();
  await prepareCarriers(world);
  worker = await world.startWorker({ updates: CARRIERS.map(({ definition }) => definition) });
});

afterAll(async () => {
  await worker.stop();
  await world.close();
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
});

describe.each(CARRIERS)('$form form', ({ definition, collection }) => {
  test.each(refusedRows)('clause 2: the client refuses $name', async ({ value, refused }) => {
    const id = randomUUID();
    const call = world.twinwrite.execute(definition, { id, value });
    await expect(call).rejects.toMatchObject({
      code: 'InvalidInput',
      fields: {
        issues: expect.arrayContaining([
          expect.objectContaining({ path: inputPath(refused?.path) }),
        ]),
      },
    });
    await expect(call).rejects.toThrow(refused?.reason);
    const workflow = world.temporal.workflow.getHandle(`${definition.name}/${id}`);
    await expect(workflow.describe()).rejects.toThrow(/not found/i);
    expect(await tracesOf(world, id)).toBe(0);
  });

  test('clause 2: what was looked at is what travels, whatever the caller has it do', async () => {
    let readings = 0;
    const value = {
      get count() {
        readings += 1;
        return readings;
      },
      kept: 'before',
    };
    const id = randomUUID();
    const running = world.twinwrite.execute(definition, { id, value });
    value.kept = 'after';
    const carried = { value: { count: 1, kept: 'before' } };
    expect(await running).toEqual({ status: 'applied', result: carried });
  });

  describe('carries', () => {
    const outcomes = new Map<Hazard, Promise<{ id: string; result: unknown }>>();

    beforeAll(() => {
      for (const hazard of carriedRows) {
        const run = async () => {
          const id = randomUUID();
          const outcome = await world.twinwrite.execute(definition, { id, value: hazard.value });
          return { id, result: outcome.status === 'applied' ? outcome.result : outcome };
        };
        outcomes.set(hazard, run());
      }
    });

    test.each(carriedRows)('clause 2: $name', async (hazard) => {
      const { id, result } = await (outcomes.get(hazard) ?? Promise.reject(new Error('not run')));
      expect(result).toEqual({ value: hazard.carried });
      const { rows } = await world.postgres.query<{ value: unknown; plain: string }>(
        'select value, plain from carried where id = $1',
        [id],
      );
      expect(rows[0]?.value).toEqual(hazard.carried);
      if (typeof hazard.value === 'string') expect(rows[0]?.plain).toBe(hazard.value);
      const document = await world.mongo
        .db()
        .collection<{ _id: string; value: unknown }>(collection)
        .findOne({ _id: id });
      expect(document?.value).toEqual(hazard.carried);
      expect(await submittedInput(`${definition.name}/${id}`)).toEqual({
        id,
        value: hazard.carried,
      });
    });
  });
});

/** The input as Temporal's history has it. */
async function submittedInput(workflowId: string): Promise<unknown> {
  const history = await world.temporal.workflow.getHandle(workflowId).fetchHistory();
  const payload =
    history.events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads?.[0];
  if (payload === undefined) throw new Error(`${workflowId} was started with nothing`);
  return defaultPayloadConverter.fromPayload<{ input: unknown }>(payload).input;
}

describe('tokens', () => {
  const { definition } = CARRIERS[0];

  test.each<[string, unknown, RegExp]>([
    ['nothing', '', /not empty/],
    ['201 characters', 'x'.repeat(201), /at most 200 characters, this one 201/],
    ['a control character', 'a\u0000b', /control characters/],
    ['half a surrogate pair', 'a\ud800', /half surrogate/],
    ['a decomposed é', 'cafe\u0301', /normalize\("NFC"\)/],
    ['a number', 7, /is a string, not number/],
    ['an operator', { $ne: null }, /is a string, not object/],
  ])('clause 1: %s is no token', async (_name, token, reason) => {
    const input = { id: randomUUID(), value: 1 };
    const call = world.twinwrite.execute(definition, input, { token: token as string });
    await expect(call).rejects.toMatchObject({
      code: 'InvalidInput',
      fields: { issues: [{ path: 'token' }] },
    });
    await expect(call).rejects.toThrow(reason);
  });

  test('clause 1: tokens that differ in case, a space or an accent are different updates', async () => {
    const stem = randomUUID();
    const tokens = [
      `${stem}-é`,
      `${stem}-É`,
      `${stem}-e`,
      `${stem}-é `,
      ` ${stem}-é`,
      `${stem}-😀`,
    ];
    const inputs = tokens.map((token) => ({ id: token, value: token }));
    const outcomes = await Promise.all(
      CARRIERS.flatMap((carrier) =>
        inputs.map((input) => world.twinwrite.execute(carrier.definition, input)),
      ),
    );
    expect(outcomes.filter(({ status }) => status === 'applied')).toHaveLength(6);
  });
});
