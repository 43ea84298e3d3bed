import type { Db } from 'mongodb';
import type { AnyCrossStoreUpdate, MongoTransaction } from '../domain/definition';
import { TwinwriteError } from '../domain/errors';
import {
  type DocumentReference,
  findProjectionsProblem,
  type Projection,
} from '../domain/projection';

/**
 * Watches to whom each MongoDB collection belongs: to one projection, or to transaction legs (F41).
 * A transaction would overwrite a projected document without a version, and two projections would
 * take turns in overwriting each other's.
 *
 * A definition names its documents by a function, and its collections in a callback, so this is
 * seen when it happens: the leg that comes second is rolled back as a mistake in its definition,
 * and waits for a deploy that mends it. Whom a projection was listed for has it from the beginning.
 *
 * @returns the same definitions, watched.
 * @throws TwinwriteError `InvalidConfiguration` for projections that disagree by themselves.
 */
export function watchCollections(
  updates: readonly AnyCrossStoreUpdate[],
  projections: readonly Projection[] = [],
): AnyCrossStoreUpdate[] {
  const problem = findProjectionsProblem(projections);
  if (problem !== undefined) throw new TwinwriteError('InvalidConfiguration', { problem });
  const owners = new CollectionOwners(projections);
  return updates.map((update) => ({ ...update, mongo: watchedLeg(owners, update) }));
}

const TRANSACTIONS = 'transactions';

class CollectionOwners {
  readonly #owners: Map<string, Projection | typeof TRANSACTIONS>;

  constructor(projections: readonly Projection[]) {
    this.#owners = new Map(projections.map((projection) => [projection.collection, projection]));
  }

  /** @throws TwinwriteError `InvalidDefinition` */
  take(definition: string, collection: string, owner: Projection | typeof TRANSACTIONS): void {
    const before = this.#owners.get(collection);
    if (before === undefined) this.#owners.set(collection, owner);
    if (before === undefined || before === owner) return;
    const isMixed = before === TRANSACTIONS || owner === TRANSACTIONS;
    const problem = isMixed
      ? `the collection "${collection}" is used by a projection and by a transaction leg; it belongs to one of them.`
      : `two projections have the collection "${collection}"; define it once, and share it.`;
    throw new TwinwriteError('InvalidDefinition', { definition, problem });
  }
}

function watchedLeg(
  owners: CollectionOwners,
  { name, mongo }: AnyCrossStoreUpdate,
): AnyCrossStoreUpdate['mongo'] {
  if (mongo.project !== undefined) {
    const { project } = mongo;
    return {
      project: (input: unknown): readonly DocumentReference[] => {
        const references = project(input);
        for (const { projection } of references)
          owners.take(name, projection.collection, projection);
        return references;
      },
    };
  }
  const { apply, undo } = mongo.transaction;
  const watched = <Context extends MongoTransaction>(context: Context): Context => ({
    ...context,
    db: watchedDb(context.db, (collection) => owners.take(name, collection, TRANSACTIONS)),
  });
  return {
    transaction: {
      apply: async (context) => await apply(watched(context)),
      ...(undo === undefined ? {} : { undo: async (context) => await undo(watched(context)) }),
    },
  };
}

/** A database that tells which collections it is asked for, and is the same in all else. */
function watchedDb(db: Db, take: (collection: string) => void): Db {
  return new Proxy(db, {
    get: (target, property) => {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      return (...parameters: unknown[]): unknown => {
        if (property === 'collection') take(String(parameters[0]));
        return Reflect.apply(value, target, parameters);
      };
    },
  });
}
