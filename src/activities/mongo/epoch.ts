import { type Collection, type Db, Long } from 'mongodb';
import type { Stop } from '../epoch-stop';
import { within } from './deadline';

export const STORE_COLLECTION = 'twinwrite_store';

/** The one document about the store itself. */
export interface StoreDocument {
  readonly _id: 1;
  readonly epoch: number;
  readonly tick: number;
  /** The last tick of PostgreSQL that this store has seen. */
  readonly postgresTick: number;
  readonly migration: number;
  /** What it has in common with its PostgreSQL database; absent before the first check. */
  readonly pair?: string;
  /** Why nothing may be written, as JSON. */
  readonly stopped?: string;
}

/** What a check looks at. Both ticks count from 0. */
export interface MongoEpoch {
  readonly epoch: number;
  readonly tick: number;
  readonly postgresTick: number;
  readonly pair: string | undefined;
  readonly stopped: string | undefined;
}

const ANSWER_WITHIN_MILLIS = 2_000;

const MAJORITY = { w: 'majority', journal: true } as const;

export function storeOf(db: Db): Collection<StoreDocument> {
  return db.collection<StoreDocument>(STORE_COLLECTION);
}

/** A database without the document was never used, or lost it: it is at tick 0. */
export async function read(db: Db): Promise<MongoEpoch> {
  const finding = storeOf(db).findOne(
    { _id: 1 },
    { readConcern: 'majority', readPreference: 'primary' },
  );
  return epochOf(await within(ANSWER_WITHIN_MILLIS, finding));
}

export interface TickOfPostgres {
  readonly tick: number;
  /** What PostgreSQL remembers of MongoDB's tick. */
  readonly mongoTick: number;
  readonly pair: string;
}

/**
 * Remembers PostgreSQL's tick and raises its own, unless it is stopped, belongs to another pair, or
 * is behind what PostgreSQL remembers of it: then nothing happens, and nothing is answered.
 */
export async function tick(
  db: Db,
  { tick: postgresTick, mongoTick, pair }: TickOfPostgres,
): Promise<MongoEpoch | undefined> {
  const own = mongoTick === 0 ? { $or: [{ pair }, { pair: { $exists: false } }] } : { pair };
  const ticking = storeOf(db).findOneAndUpdate(
    { _id: 1, tick: { $gte: mongoTick }, stopped: { $exists: false }, ...own },
    { $inc: { tick: 1 }, $max: { postgresTick }, $set: { pair } },
    { returnDocument: 'after', writeConcern: MAJORITY },
  );
  const document = await within(ANSWER_WITHIN_MILLIS, ticking);
  return document === null ? undefined : epochOf(document);
}

/** Stops the store, unless it was let go since. */
export async function stop(db: Db, reason: Stop): Promise<void> {
  const stopping = storeOf(db).updateOne(
    { _id: 1, stopped: { $exists: false }, epoch: { $lte: reason.epoch } },
    { $set: { stopped: JSON.stringify(reason) } },
    { writeConcern: MAJORITY },
  );
  await within(ANSWER_WITHIN_MILLIS, stopping);
}

export interface RaisedStore {
  readonly epoch: number;
  /** At least these. */
  readonly tick: number;
  readonly postgresTick: number;
  readonly pair: string;
}

/** Moves the store to an epoch; a store that lost its document gets a new one. */
export async function raise(
  db: Db,
  { epoch, tick: atLeast, postgresTick, pair }: RaisedStore,
): Promise<void> {
  const raising = storeOf(db).updateOne(
    { _id: 1 },
    { $max: { epoch, tick: atLeast, postgresTick }, $set: { pair } },
    { upsert: true, writeConcern: MAJORITY },
  );
  await within(ANSWER_WITHIN_MILLIS, raising);
}

/** Lets the store go. */
export async function lift(db: Db): Promise<void> {
  const lifting = storeOf(db).updateOne(
    { _id: 1 },
    { $unset: { stopped: '' } },
    { writeConcern: MAJORITY },
  );
  await within(ANSWER_WITHIN_MILLIS, lifting);
}

function epochOf(document: StoreDocument | null): MongoEpoch {
  return {
    epoch: numberOf(document?.epoch),
    tick: numberOf(document?.tick),
    postgresTick: numberOf(document?.postgresTick),
    pair: document?.pair,
    stopped: document?.stopped,
  };
}

/** The application's client may not promote 64-bit integers. */
function numberOf(value: unknown): number {
  return Long.isLong(value) ? value.toNumber() : Number(value ?? 0);
}
