/**
 * An application in TypeScript. It is compiled outside the repository, against the declarations
 * that the package ships.
 */
import { MongoClient } from 'mongodb';
import { Pool } from 'pg';
import {
  defineCrossStoreUpdate,
  defineProjection,
  isTwinwriteError,
  type Outcome,
} from 'twinwrite';
import { Twinwrite } from 'twinwrite/client';
import { startStack } from 'twinwrite/stack';
import { checkDefinition } from 'twinwrite/testing';
import { createWorker } from 'twinwrite/worker';
import { z } from 'zod';

const seats = defineProjection({
  collection: 'seats',
  image: async ({ postgres, ids }) => {
    const { rows } = await postgres.query<{ _id: string; guest: string }>(
      'select id as _id, guest from seats where id = any($1)',
      [ids],
    );
    return rows;
  },
});

export const takeSeat = defineCrossStoreUpdate({
  name: 'takeSeat',
  input: z.strictObject({ id: z.string(), guest: z.string().default('nobody') }),
  token: (input) => input.id,
  postgres: {
    apply: async ({ client, input }) => {
      await client.query('insert into seats values ($1, $2)', [input.id, input.guest]);
      return { guest: input.guest };
    },
    undo: async ({ client, result }) => {
      await client.query('delete from seats where guest = $1', [result.guest.trim()]);
    },
  },
  mongo: { project: (input) => [seats.document(input.id)] },
});

export async function seatAda(): Promise<Outcome<{ guest: string }>> {
  const stack = await startStack();
  const postgres = new Pool({ connectionString: stack.postgres.url });
  const mongo = new MongoClient(stack.mongo.uri);
  const worker = await createWorker({ updates: [takeSeat], postgres, mongo });
  const twinwrite = await Twinwrite.connect({ taskQueue: 'twinwrite' });
  try {
    const outcome = await twinwrite.execute(takeSeat, { id: '1' });
    if (outcome.status === 'applied') outcome.result.guest.toUpperCase();
    // @ts-expect-error -- an input needs an id; were the types lost on the way, this would compile.
    await twinwrite.execute(takeSeat, { guest: 'Ada' });
    return outcome;
  } catch (error) {
    if (isTwinwriteError(error, 'StillRunning')) worker.shutdown();
    throw error;
  }
}

export async function checkSeats(postgres: Pool, mongo: MongoClient): Promise<number> {
  // @ts-expect-error -- an input needs an id; were the types lost on the way, this would compile.
  await checkDefinition(takeSeat, { inputs: [{ guest: 'Ada' }], postgres, mongo });
  const { samples } = await checkDefinition(takeSeat, { inputs: [{ id: '1' }], postgres, mongo });
  return samples.length;
}
