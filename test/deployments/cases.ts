import { type Build, projectionBuild, transactionBuild } from './builds';

/** How far an earlier build had brought the update when the broken one was deployed. */
type Before = 'nothing' | 'claimed' | 'queued' | 'undoing' | 'undoing, with MongoDB applied';

export interface Case {
  readonly what: string;
  readonly broken: Build | undefined;
  readonly good: Build;
  readonly before: Before;
  /** What the log and the metric name. */
  readonly code: string;
  readonly leg: string;
  readonly ends: 'applied' | 'compensated';
}

const bug = (): never => {
  throw new TypeError("Cannot read properties of undefined (reading 'text')");
};

export const CASES: readonly Case[] = [
  {
    what: 'a TypeError in apply',
    broken: projectionBuild('applyBug', { apply: async () => bug() }),
    good: projectionBuild('applyBug'),
    before: 'nothing',
    code: 'TypeError',
    leg: 'applyPostgres',
    ends: 'applied',
  },
  {
    what: 'a TypeError in the callback for MongoDB',
    broken: transactionBuild('mongoBug', { mongo: bug }),
    good: transactionBuild('mongoBug'),
    before: 'nothing',
    code: 'TypeError',
    leg: 'applyMongo',
    ends: 'applied',
  },
  {
    what: 'a TypeError in an image, after the claim',
    broken: projectionBuild('imageBug', { image: bug }),
    good: projectionBuild('imageBug'),
    before: 'claimed',
    code: 'TypeError',
    leg: 'applyMongo',
    ends: 'applied',
  },
  {
    what: 'a TypeError in entities',
    broken: projectionBuild('entitiesBug', { entities: bug }),
    good: projectionBuild('entitiesBug'),
    before: 'nothing',
    code: 'TypeError',
    leg: 'applyPostgres',
    ends: 'applied',
  },
  {
    what: 'a TypeError in the schema',
    broken: projectionBuild('schemaBug', { accepts: bug }),
    good: projectionBuild('schemaBug'),
    before: 'nothing',
    code: 'TypeError',
    leg: 'applyPostgres',
    ends: 'applied',
  },
  {
    what: 'a table that is not there yet',
    broken: transactionBuild('missingTable', {
      apply: async ({ client }) => {
        await client.query('insert into note_of_tomorrow default values');
        return null;
      },
    }),
    good: transactionBuild('missingTable'),
    before: 'nothing',
    code: 'SQLSTATE 42P01',
    leg: 'applyPostgres',
    ends: 'applied',
  },
  {
    what: 'a column that the undo does not find',
    broken: transactionBuild('missingColumn', {
      undo: async ({ client }) => {
        await client.query('update note set undone = true');
      },
    }),
    good: transactionBuild('missingColumn'),
    before: 'undoing',
    code: 'SQLSTATE 42703',
    leg: 'undoPostgres',
    ends: 'compensated',
  },
  {
    what: 'a definition that the worker has not',
    broken: undefined,
    good: projectionBuild('unknownHere'),
    before: 'nothing',
    code: 'UnknownDefinition',
    leg: 'applyPostgres',
    ends: 'applied',
  },
  {
    what: 'an undo that was taken out under a compensation',
    broken: projectionBuild('undoGone', { undo: 'none' }),
    good: projectionBuild('undoGone'),
    before: 'undoing',
    code: 'InvalidDefinition',
    leg: 'undoPostgres',
    ends: 'compensated',
  },
  {
    what: 'both undos taken out under a compensation that MongoDB waits for',
    broken: transactionBuild('undosGone', { undo: 'none' }),
    good: transactionBuild('undosGone'),
    before: 'undoing, with MongoDB applied',
    code: 'InvalidDefinition',
    leg: 'fenceMongo',
    ends: 'compensated',
  },
  {
    what: 'another form than the claim has, forward',
    broken: projectionBuild('formForward'),
    good: transactionBuild('formForward'),
    before: 'claimed',
    code: 'InvalidDefinition',
    leg: 'applyMongo',
    ends: 'applied',
  },
  {
    what: 'another form than the claim has, back',
    broken: projectionBuild('formBack'),
    good: transactionBuild('formBack'),
    before: 'undoing, with MongoDB applied',
    code: 'InvalidDefinition',
    leg: 'fenceMongo',
    ends: 'compensated',
  },
  {
    what: 'another document than the claim has',
    broken: projectionBuild('documentChanged', { document: (id) => `new-${id}` }),
    good: projectionBuild('documentChanged'),
    before: 'claimed',
    code: 'InvalidDefinition',
    leg: 'applyMongo',
    ends: 'applied',
  },
  {
    what: 'a schema tightened after the claim (F28)',
    broken: projectionBuild('tightened', { asksForMore: true }),
    good: projectionBuild('tightened'),
    before: 'claimed',
    code: 'InvalidDefinition',
    leg: 'applyMongo',
    ends: 'applied',
  },
  {
    what: 'a schema tightened while it waited for its turn (F28)',
    broken: projectionBuild('tightenedQueued', { asksForMore: true }),
    good: projectionBuild('tightenedQueued'),
    before: 'queued',
    code: 'InvalidDefinition',
    leg: 'applyPostgres',
    ends: 'applied',
  },
];
