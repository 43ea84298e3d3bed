/**
 * Goal: callers get the outcome's type from the definition, and give the input that its schema
 * takes. Method: exact types; two compilers read this file, nobody runs it.
 */
import {
  type CrossStoreUpdate,
  defineCrossStoreUpdate,
  defineProjection,
  type Enlisted,
  type Execute,
  type InputOf,
  isTwinwriteError,
  type Outcome,
  type Reason,
  submitInTransaction,
  submitManyInTransaction,
  type Twinwrite,
  type UpdateHandle,
  type VersionConflict,
} from 'twinwrite';
import { Twinwrite as TwinwriteOfClient } from 'twinwrite/client';
import { createWorker, type TwinwriteWorker, type WorkerOptions } from 'twinwrite/worker';
import { z } from 'zod';
import { expectType } from './expect-type';

const schema = z.strictObject({ id: z.string(), count: z.coerce.number<number>().default(1) });

const count = defineCrossStoreUpdate({
  name: 'count',
  input: schema,
  token: (input) => input.id,
  postgres: { apply: async ({ input }) => ({ counted: input.count }) },
  mongo: { transaction: { apply: async () => {} } },
});

expectType<CrossStoreUpdate<typeof schema, { counted: number }>>()(count);

export async function narrowsTheOutcomeByItsStatus(twinwrite: Twinwrite): Promise<void> {
  const outcome = await twinwrite.execute(count, { id: '1' });
  expectType<Outcome<{ counted: number }>>()(outcome);
  expectType<'applied' | 'compensated' | 'refused'>()(outcome.status);
  if (outcome.status === 'applied') {
    expectType<{ counted: number }>()(outcome.result);
    // @ts-expect-error -- what was applied has no reason.
    void outcome.reason;
  } else {
    expectType<Reason>()(outcome.reason);
    // @ts-expect-error -- what was not applied has no result.
    void outcome.result;
  }
}

export async function carriesTheResultInTheHandle(twinwrite: Twinwrite): Promise<void> {
  const handle = await twinwrite.submit(count, { id: '1', count: 2 }, { token: 'a' });
  expectType<UpdateHandle<{ counted: number }>>()(handle);
  expectType<Outcome<{ counted: number }>>()(await handle.outcome({ timeoutMillis: 1 }));
  expectType<string | undefined>()(handle.webUrl);
  // A token alone tells no type: what comes is for the caller to check.
  expectType<Outcome>()(await twinwrite.handle(count, 'a').outcome());
}

export async function carriesTheResultThroughATransaction(
  twinwrite: Twinwrite,
  execute: Execute,
): Promise<void> {
  const enlisted = await submitInTransaction(execute, count, { id: '1' }, { taskQueue: 'q' });
  expectType<Enlisted<{ counted: number }>>()(enlisted);
  expectType<UpdateHandle<{ counted: number }>>()(twinwrite.handle(enlisted));
  const many = await submitManyInTransaction(execute, count, [{ id: '1', count: 2 }]);
  expectType<readonly Enlisted<{ counted: number }>[]>()(many);
  // What was kept as JSON tells no type.
  const kept = { definition: 'count', token: '1' };
  expectType<Outcome>()(await twinwrite.handle(kept).outcome());
  // @ts-expect-error -- `id` is missing.
  await submitInTransaction(execute, count, {});
  // @ts-expect-error -- `count` is a number.
  await submitManyInTransaction(execute, count, [{ id: '1', count: '1' }]);
  // @ts-expect-error -- one token cannot stand for many.
  await submitManyInTransaction(execute, count, [], { token: 'a' });
}

/** What the drivers offer, without an annotation. */
export async function sendsThroughAnyDriver(driver: {
  query(sql: string, values?: unknown[]): Promise<{ rows: unknown[] }>;
  $queryRawUnsafe(sql: string, ...values: unknown[]): Promise<unknown>;
}): Promise<void> {
  const input = { id: '1' };
  await submitInTransaction((sql, parameters) => driver.query(sql, parameters), count, input);
  await submitInTransaction((sql, all) => driver.$queryRawUnsafe(sql, ...all), count, input);
  await submitInTransaction(
    async (sql, parameters) => {
      expectType<string>()(sql);
      expectType<[string]>()(parameters);
    },
    count,
    input,
  );
}

const counts = defineProjection({ collection: 'counts', image: async () => [] });

export async function expectsVersions(twinwrite: Twinwrite): Promise<void> {
  const read: { _id: string } | null = { _id: '1' };
  const version = counts.versionOf(read);
  expectType<string | null>()(version);
  const document = counts.document('1');
  const input = { id: '1' };
  await twinwrite.submit(count, input, { expect: { version } });
  await twinwrite.submit(count, input, { expect: { version: null, document } });
  const outcome = await twinwrite.execute(count, input, { expect: [{ version, document }] });
  expectType<Outcome<{ counted: number }>>()(outcome);
  if (outcome.status === 'refused' && outcome.reason.code === 'VersionConflict') {
    expectType<readonly VersionConflict[] | undefined>()(outcome.reason.conflicts);
  }
  // @ts-expect-error -- a number loses the last digits of some versions.
  await twinwrite.execute(count, input, { expect: { version: 5 } });
  // @ts-expect-error -- what is expected of it is missing.
  await twinwrite.execute(count, input, { expect: { document } });
}

export async function takesWhatTheSchemaTakes(twinwrite: Twinwrite): Promise<void> {
  expectType<{ id: string; count?: number | undefined }>()({} as InputOf<typeof schema>);
  // @ts-expect-error -- `id` is missing.
  await twinwrite.execute(count, { count: 1 });
  // @ts-expect-error -- `count` is a number.
  await twinwrite.execute(count, { id: '1', count: '1' });
  // @ts-expect-error -- the schema is strict and knows no `colour`.
  await twinwrite.submit(count, { id: '1', colour: 'red' });
  // @ts-expect-error -- the unit is in the name of the option.
  await twinwrite.execute(count, { id: '1' }, { timeout: 1 });
}

export async function namesTheCodesOfErrors(failed: unknown): Promise<string | undefined> {
  if (!isTwinwriteError(failed, 'TokenReused')) return undefined;
  expectType<'TokenReused'>()(failed.code);
  // @ts-expect-error -- no error has this code.
  isTwinwriteError(failed, 'TokenStolen');
  return failed.fields.token;
}

export async function startsAWorker(
  options: Omit<WorkerOptions, 'updates'>,
): Promise<TwinwriteWorker> {
  expectType<typeof Twinwrite>()(TwinwriteOfClient);
  // @ts-expect-error -- a worker has definitions.
  await createWorker(options);
  return await createWorker({ ...options, updates: [count] });
}
