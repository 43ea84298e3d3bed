import type { z } from 'zod';
import type { AnyCrossStoreUpdate, CrossStoreUpdate } from '../domain/definition';
import { describeIssues, isTwinwriteError, TwinwriteError } from '../domain/errors';
import type { Finding, FindingCode } from '../domain/finding';
import type { OutcomeStatus } from '../domain/outcome';
import { plainInput } from '../domain/parse-input';
import { Bench } from './bench';
import { checkDuplicates } from './checks/duplicates';
import { type Sweep, sweepFaults } from './checks/faults';
import { areApart, checkIdentity, checkTokens, type Identified } from './checks/identity';
import { checkImages } from './checks/image';
import { type Reference, runUndisturbed } from './checks/undisturbed';
import { checkUndo } from './checks/undo';
import { finding } from './findings';
import { assertOptions, type CheckOptions } from './options';
import { type GivenSample, identityOf, type Sample } from './samples';

/** What a check did, for a test that wants to be sure of it. */
export interface CheckReport {
  readonly definition: string;
  readonly samples: readonly {
    /** As the options name it: `inputs[0]`. */
    readonly sample: string;
    /** How it ended; `invalid` when the schema refused it, so that nothing was ever submitted. */
    readonly outcome: OutcomeStatus | 'invalid';
    /** How many crashes and broken connections it was put through. */
    readonly faults: number;
  }[];
  /** What could not be checked, and why. */
  readonly unchecked: readonly string[];
}

/**
 * Runs a definition on the real stores as production runs it on a bad day, and fails on what would
 * go wrong there. Each sample begins from the state that the databases are in, and is
 *
 * 1. asked several times what its token, entities and documents are;
 * 2. applied, or refused, without a disturbance;
 * 3. submitted five times at once and once more: one effect, one answer;
 * 4. with the others, read as images in every way that workers read them;
 * 5. cut at every store call, its driver dead or its connection broken, and taken up by another:
 *    nothing stays of what was rolled back, and the end is the same;
 * 6. taken back, with Postgres alone written and with both, beside others, and with the same cuts:
 *    both stores are what they were, row by row and document by document.
 *
 * What it cannot see: effects in other systems than the two stores, and a callback that goes wrong
 * with inputs or rows that the samples do not have. It runs the protocol in this process, so it
 * needs no Temporal. What would mostly be the consequence of something found is not looked for:
 * mend it and check again.
 *
 * **It writes**, and in the end restores both databases, sequences included, to what it found; so
 * they are databases for tests, small, and nobody else's meanwhile. Killed in the middle, it leaves
 * them as they are: make them anew. Takes a second or two for each sample. While it reads images, the
 * clock of this process is moved for some milliseconds.
 *
 * @throws TwinwriteError `UnsoundDefinition` with everything that was found; `InvalidConfiguration`
 * when the options or the databases are not for this.
 */
export async function checkDefinition<Schema extends z.ZodType, Result>(
  definition: CrossStoreUpdate<Schema, Result>,
  options: CheckOptions<z.input<Schema>>,
): Promise<CheckReport> {
  assertOptions(definition, options);
  const bench = await Bench.open(definition, options);
  try {
    await bench.give(options.given);
    return await checkAll(bench, samplesOf(options));
  } finally {
    await bench.close();
  }
}

function samplesOf({ inputs, refused = [] }: CheckOptions): GivenSample[] {
  return [
    ...inputs.map((given, index) => {
      return { name: `inputs[${index}]`, given, expected: 'applied' } as const;
    }),
    ...refused.map((given, index) => {
      return { name: `refused[${index}]`, given, expected: 'refused' } as const;
    }),
  ];
}

/** Beside how many of the other samples an undo is tried. */
const MAX_BESIDE = 2;

type SampleReport = CheckReport['samples'][number];

async function checkAll(bench: Bench, samples: readonly GivenSample[]): Promise<CheckReport> {
  const { definition } = bench;
  const { identified, findings, invalid } = await identify(bench, samples);
  // Without tokens that stand for one update each, nothing else means anything.
  failOn(definition, findings, ['UnstableIdentity', 'SharedToken']);
  const references: Reference[] = [];
  for (const { sample } of identified) {
    const undisturbed = await runUndisturbed(bench, sample);
    findings.push(...undisturbed.findings);
    const { reference } = undisturbed;
    if (reference === undefined) continue;
    const duplicates = await checkDuplicates(bench, reference);
    findings.push(...duplicates);
    if (duplicates.length === 0) references.push(reference);
  }
  findings.push(...(await checkImages(bench, references)));
  // What writes another document each time is no undo's fault.
  failOn(definition, findings, ['ImpureImage', 'StaleDocument']);
  const reports: SampleReport[] = [...invalid];
  for (const reference of references) {
    const sweep = await disturb(bench, reference, besides(identified, reference));
    findings.push(...sweep.findings);
    const { sample, outcome } = reference;
    reports.push({ sample: sample.name, outcome: outcome.status, faults: sweep.faults });
  }
  failOn(definition, findings);
  const place = ({ sample }: SampleReport) => samples.findIndex(({ name }) => name === sample);
  return {
    definition: definition.name,
    samples: reports.toSorted((one, other) => place(one) - place(other)),
    unchecked: uncheckedOf(definition, samples),
  };
}

/** Ends the check when there are findings of these codes among them, or of any code. */
function failOn(
  { name: definition }: AnyCrossStoreUpdate,
  findings: readonly Finding[],
  codes?: readonly FindingCode[],
): void {
  if (!findings.some(({ code }) => codes?.includes(code) ?? true)) return;
  throw new TwinwriteError('UnsoundDefinition', { definition, findings });
}

/** The samples that can be applied while this one is neither settled nor undone. */
function besides(identified: readonly Identified[], { sample }: Reference): Identified[] {
  const own = identified.find((other) => other.sample === sample);
  return identified
    .filter((other) => own !== undefined && areApart(own.identity, other.identity))
    .filter((other) => other.sample.expected === 'applied')
    .slice(0, MAX_BESIDE);
}

/** Those that go on: known to be let in, with an identity that stays. */
async function identify(bench: Bench, samples: readonly GivenSample[]) {
  const { definition } = bench;
  const identified: Identified[] = [];
  const findings: Finding[] = [];
  const invalid: SampleReport[] = [];
  for (const { name, given, expected } of samples) {
    try {
      const sample: Sample = { name, expected, input: plainInput(definition, given) };
      const identity = await identityOf(definition, sample.input);
      const unstable = await checkIdentity(definition, { sample, identity });
      findings.push(...unstable);
      if (unstable.length > 0) continue;
      await bench.assertUnknown(sample, identity.token);
      identified.push({ sample, identity });
    } catch (error) {
      if (!isTwinwriteError(error, 'InvalidInput')) throw error;
      const seen = `it is no input: ${describeIssues(error.fields.issues)}`;
      if (expected === 'applied') findings.push(finding('NotApplied', name, [seen]));
      else invalid.push({ sample: name, outcome: 'invalid', faults: 0 });
    }
  }
  findings.push(...checkTokens(identified));
  return { identified, findings, invalid };
}

/** One way after the other, and no further than to the first that finds something. */
async function disturb(
  bench: Bench,
  reference: Reference,
  others: readonly Identified[],
): Promise<Sweep> {
  const { sample, outcome, state, ignores, calls } = reference;
  const begin = () => bench.reset();
  const course = { sample, begin, drive: {}, calls, end: state, ignores };
  const forward = await sweepFaults(bench, course);
  const isUndoable = outcome.status === 'applied' && bench.definition.undoable;
  if (forward.findings.length > 0 || !isUndoable) return forward;
  const back = await checkUndo(bench, reference, others);
  return { findings: back.findings, faults: forward.faults + back.faults };
}

function uncheckedOf(definition: AnyCrossStoreUpdate, samples: readonly GivenSample[]): string[] {
  const isGoingBack = definition.undoable;
  const isOnlyPostgres =
    isGoingBack &&
    definition.form === 'transaction' &&
    definition.mongo.transaction?.undo === undefined;
  const isOne = samples.filter(({ expected }) => expected === 'applied').length === 1;
  return [
    ...(isGoingBack ? [] : ['the undo: the definition has none']),
    ...(isOnlyPostgres ? ['the undo in MongoDB: the definition has none'] : []),
    ...(isOne && definition.form === 'projection'
      ? ['images read together: there is one sample that is applied']
      : []),
    ...(samples.some(({ expected }) => expected === 'refused')
      ? []
      : ['refusals: no sample is refused']),
  ];
}
