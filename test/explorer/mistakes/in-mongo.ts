import type { Mistake } from './mistake';

/** Changes of the files that write to MongoDB. */
export const MISTAKES_IN_MONGO: readonly Mistake[] = [
  {
    name: 'no fence in MongoDB',
    scenarios: ['both'],
    patches: [
      {
        file: 'activities/mongo/leg.ts',
        old: `  const known = await ledger.fence(db, key, shareMillis('mongo', update.timeoutMillis));
  if (known.state !== 'applied') return { at: 'fenced' };`,
        new: `  const known = await ledger.recall(db, key, shareMillis('mongo', update.timeoutMillis));
  if (known?.state !== 'applied') return { at: 'fenced' };`,
      },
    ],
  },
  {
    name: 'the fence outside the transaction',
    scenarios: ['both'],
    patches: [
      {
        file: 'activities/mongo/ledger.ts',
        old: 'await ledgerOf(db).insertOne(document, { session });',
        new: 'await ledgerOf(db).insertOne(document);',
      },
    ],
  },
  {
    name: 'no tombstone',
    scenarios: ['undoable'],
    patches: [
      {
        file: 'activities/mongo/projection.ts',
        old: '  const answer =\n    projection.owns === undefined',
        new: `  if (image === undefined) {
    await collection.deleteOne(filter, {});
    return true;
  }
  const answer =\n    projection.owns === undefined`,
      },
    ],
  },
  {
    name: 'images and versions of different moments',
    scenarios: ['free-and-free', 'undoable'],
    patches: [
      {
        file: 'activities/image.ts',
        old: `    { timeoutMillis, mode: 'snapshot' },
    async (client) => await readVersionedImagesIn(client, references),`,
        new: `    { timeoutMillis },
    async (client) => {
      const images = await readImages(client, references);
      const versions = await queryVersions(client, references);
      return images.map((image) => ({ ...image, ...versionIn(versions, image.reference) }));
    },`,
      },
    ],
  },
  {
    name: 'E11000 taken as superseded',
    scenarios: ['free-and-free'],
    deviations: ['it is slow', 'pauses between its statements'],
    patches: [
      {
        file: 'activities/mongo/projection.ts',
        old: `  if (await put(false)) return { at: 'written' };
  return await findSuperseding(collection, versioned, timeoutMillis);`,
        new: `  return { at: 'superseded', version: Long.fromString(versioned.version) };`,
      },
    ],
  },
  {
    name: 'a partial document without its version',
    scenarios: ['owning'],
    patches: [
      {
        file: 'activities/mongo/projection.ts',
        old: '    $set: { ...Object.fromEntries(present.map((field) => [field, image?.[field]])), _tw: stamp },',
        new: `    $set: Object.fromEntries(present.map((field) => [field, image?.[field]])),
    $setOnInsert: { _tw: stamp },`,
      },
    ],
  },
  {
    name: 'an undo in MongoDB that does not look whether it ran',
    scenarios: ['both'],
    deviations: ['is cancelled', 'the janitor comes'],
    patches: [
      {
        file: 'activities/mongo/ledger.ts',
        old: `    { _id: idOf(key), state: 'applied' },`,
        new: `    { _id: idOf(key) },`,
      },
      {
        file: 'activities/mongo/ledger.ts',
        old: 'return answer.modifiedCount === 1;',
        new: 'return answer.matchedCount === 1;',
      },
      {
        file: 'activities/mongo/leg.ts',
        old: `  if (known.state !== 'applied') return { at: 'fenced' };`,
        new: `  if (known.state === 'fenced') return { at: 'fenced' };`,
      },
    ],
  },
];
