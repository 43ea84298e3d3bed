import type { Db } from 'mongodb';
import type { Pool } from 'pg';
import { shareMillis } from '../domain/bounds';
import type { MongoReader } from '../domain/definition';
import { TwinwriteError } from '../domain/errors';
import type { LedgerAnswer } from '../domain/update-request';
import { isOfMongo } from './mongo/errors';
import { lendClient } from './postgres/callback-client';
import { isDatabaseError, refusalOf } from './postgres/errors';
import * as ledger from './postgres/ledger';
import { inTransaction } from './postgres/transaction';
import { refuseByDefinition } from './refusal';
import type { UpdateInHand } from './update-in-hand';

/**
 * Runs the definition's precheck, if it has one and nobody has claimed the token: what the ledger
 * knows is answered by the ledger (clause 2). A refusal is recorded as the token's first record;
 * where somebody came first meanwhile, what they recorded stands (clause 6).
 *
 * What it throws by itself is treated as what a leg throws: a bug parks the update, and an error
 * that may pass is retried. Nothing is held meanwhile.
 *
 * @returns the ledger's answer where it refused, or nothing when the leg is to judge.
 * @throws TwinwriteError `TransactionMisused` when it tried to write
 */
export async function precheck(
  pool: Pool,
  db: Db,
  update: UpdateInHand,
): Promise<LedgerAnswer | undefined> {
  const { definition, key, timeoutMillis } = update;
  if (definition.precheck === undefined) return undefined;
  // The leg says what is invalid, unless the ledger knows the token.
  if ((await update.findInvalidInput()) !== undefined) return undefined;
  try {
    await ask(pool, db, update);
    return undefined;
  } catch (error) {
    const reason = refusalOf(error);
    if (reason === undefined) throw asMisuse(definition.name, error);
    const bounds = { timeoutMillis: shareMillis('afterPrecheck', timeoutMillis) };
    return await inTransaction(pool, bounds, (client) => ledger.refuseFirst(client, key, reason));
  }
}

async function ask(pool: Pool, db: Db, update: UpdateInHand): Promise<void> {
  const { definition, key, timeoutMillis } = update;
  const input = await update.input();
  const bounds = {
    timeoutMillis: shareMillis('precheck', timeoutMillis),
    mode: 'snapshot',
  } as const;
  await inTransaction(pool, bounds, async (client) => {
    // The first statement, after which nobody can make the transaction one that writes.
    if (await ledger.knows(client, key)) return;
    await lendClient(
      definition.name,
      client,
      async (postgres) => {
        const context = { postgres, mongo: readerOf(db), input, refuse: refuseByDefinition };
        await definition.precheck?.(context);
      },
      isOfMongo,
    );
  });
}

/** MongoDB has no transaction that only reads: what could write is left out instead. */
function readerOf(db: Db): MongoReader {
  return {
    collection: (name) => {
      const options = { readConcern: 'majority', readPreference: 'primary' } as const;
      const collection = db.collection(name, options);
      return {
        find: collection.find.bind(collection),
        findOne: collection.findOne.bind(collection),
        countDocuments: collection.countDocuments.bind(collection),
        distinct: collection.distinct.bind(collection),
      } as never;
    },
  };
}

/** What PostgreSQL answers to a write in a transaction that only reads. */
const READ_ONLY_TRANSACTION = '25006';

function asMisuse(definition: string, error: unknown): unknown {
  if (!isDatabaseError(error) || error.code !== READ_ONLY_TRANSACTION) return error;
  const problem = 'wrote, or took a lock, in its precheck, which only reads';
  return new TwinwriteError('TransactionMisused', { definition, problem }, { cause: error });
}
