import * as mongoLeg from '../activities/mongo/leg';
import * as postgresLeg from '../activities/postgres/leg';
import type { UpdateInHand } from '../activities/update-in-hand';
import type { Steps } from '../domain/update-request';

export interface DirectStores {
  readonly postgres: postgresLeg.PostgresStore;
  readonly mongo: mongoLeg.MongoStore;
}

/** The steps of one attempt: what comes after the request in each of them. */
export type DirectSteps = {
  readonly [Name in keyof Steps]: Steps[Name] extends (
    request: infer _Request,
    ...rest: infer Rest
  ) => infer Answer
    ? (...rest: Rest) => Answer
    : never;
};

/**
 * The protocol's steps over the stores themselves, for a driver that is no workflow. One attempt
 * each: an error is the driver's to retry, and where it comes from a COMMIT it is in doubt
 * (clause 4).
 */
export function directSteps({ postgres, mongo }: DirectStores, update: UpdateInHand): DirectSteps {
  return {
    applyPostgres: () => postgresLeg.applyPostgres(postgres, update),
    applyMongo: async (claim) => {
      const answer = await mongoLeg.applyMongo(mongo, postgres.pool, update, claim);
      return answer.at === 'applied' ? await postgresLeg.settle(postgres, update, claim) : answer;
    },
    fencePostgres: (reason) => postgresLeg.fencePostgres(postgres, update, reason),
    fenceMongo: (claim) => mongoLeg.fenceMongo(mongo, update, claim),
    undoPostgres: () => postgresLeg.undoPostgres(postgres, update),
    resumeForward: () => postgresLeg.resumeForward(postgres, update),
  };
}
