import type { UpdateSteps } from '../domain/update-request';
import { finishForward, resumeForward, undoPostgres } from './lost-claims';
import * as mongoLeg from './mongo/leg';
import * as postgresLeg from './postgres/leg';
import { precheck } from './precheck';
import type { UpdateInHand } from './update-in-hand';

export interface Stores {
  readonly postgres: postgresLeg.PostgresStore;
  readonly mongo: mongoLeg.MongoStore;
}

/**
 * The protocol's steps over the stores, one attempt each, whoever drives. An error is the driver's
 * to retry, and where it comes from a COMMIT it is in doubt (clause 4).
 */
export function stepsOf(stores: Stores, update: UpdateInHand): UpdateSteps {
  const { postgres, mongo } = stores;
  return {
    applyPostgres: async () =>
      (await precheck(postgres.pool, mongo.db, update)) ??
      (await postgresLeg.applyPostgres(postgres, update)),
    applyMongo: (claim) => finishForward(stores, update, claim),
    fencePostgres: (reason) => postgresLeg.fencePostgres(postgres, update, reason),
    fenceMongo: (claim) => mongoLeg.fenceMongo(mongo, update, claim),
    undoPostgres: () => undoPostgres(stores, update),
    resumeForward: () => resumeForward(stores, update),
  };
}
