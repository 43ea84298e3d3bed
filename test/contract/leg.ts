import { randomUUID } from 'node:crypto';
import type { Json, Outcome, Reason } from 'twinwrite';
import type { Claim, LedgerAnswer } from '../../src/domain/update-request';
import { type BoundSteps, driveBack } from '../../src/workflows/protocol';
import { eventually } from '../support/eventually';
import type { ActivitySteps, StepWatch } from './activity-steps';
import { type Bench, REASON } from './bench';
import { type Effects, effectsInMongo, effectsInPostgres } from './counting-update';
import type { Occasion, Place } from './steering';

/** What a store says of its leg, whatever the step was called. */
export type Verdict =
  | { readonly applied: true; readonly result: Json }
  /** It is not there, and never will be. The reason is Postgres's to know. */
  | { readonly applied: false; readonly reason?: Reason };

type Input = { points?: number; note?: string };
type CopyParameters = [worker: ActivitySteps, token: string, input: Input];

/**
 * One store's leg of one update, as its half of the protocol sees it. Every call is a step or two
 * of the production code, retried as Temporal does; `worker` says in which process it runs.
 */
export abstract class Leg {
  /** Where the callbacks of this leg run. */
  abstract readonly applyPlace: Place;
  abstract readonly undoPlace: Place;
  /** Off, a failure is not retried but the test's to look at. */
  isRetried = true;
  readonly watch: { -readonly [Key in keyof StepWatch]: StepWatch[Key] } = {};

  constructor(
    readonly bench: Bench,
    readonly worker: ActivitySteps,
    readonly token: string = randomUUID(),
    readonly input: Input = {},
  ) {}

  /** Brings the update to where this leg comes next. */
  abstract prepare(): Promise<void>;
  /** Applies the leg, or finds it applied; it does not settle the update. */
  abstract apply(): Promise<Verdict>;
  /** The store's own fence, without what comes before and after it. */
  abstract fence(): Promise<{ readonly at: string }>;
  /** Fences the leg, and undoes it where it was applied. */
  abstract takeBack(): Promise<Verdict>;
  abstract effects(): Promise<Effects>;
  /** Ends the leg's session in the midst of its transaction, as a crash does. */
  abstract crash(occasion: Occasion): Promise<void>;
  /** Waits until a fence of this store waits for the open leg. */
  abstract fenceWaits(): Promise<void>;

  /** The same token in the hands of a caller with another input. */
  withInput(input: Input): this {
    return this.copy(this.worker, this.token, input);
  }

  inWorker(worker: ActivitySteps): this {
    return this.copy(worker, this.token, this.input);
  }

  /** The same leg of another update. */
  fresh(): this {
    return this.copy(this.worker, randomUUID(), {});
  }

  protected copy(...[worker, token, input]: CopyParameters): this {
    const Kind = this.constructor as new (bench: Bench, ...rest: CopyParameters) => this;
    return new Kind(this.bench, worker, token, input);
  }

  get steps(): BoundSteps {
    const request = this.bench.request(this.token, this.input);
    return this.isRetried ? this.worker.bind(request, this.watch) : this.worker.attempt(request);
  }

  runs(place: Place = this.applyPlace): number {
    return this.bench.steering.runs(place, this.token);
  }

  async effectsInPostgres(): Promise<Effects> {
    return await effectsInPostgres(this.bench.world.postgres, this.token);
  }

  async effectsInMongo(): Promise<Effects> {
    const { world, definition } = this.bench;
    return await effectsInMongo(world.mongo.db(), definition, this.token);
  }
}

export class PostgresLeg extends Leg {
  readonly applyPlace = 'postgres.apply';
  readonly undoPlace = 'postgres.undo';

  async prepare(): Promise<void> {}

  async apply(): Promise<Verdict> {
    return verdictOf(await this.steps.applyPostgres());
  }

  async fence(): Promise<{ readonly at: string }> {
    return await this.steps.fencePostgres(REASON);
  }

  async takeBack(): Promise<Verdict> {
    const fenced = await this.steps.fencePostgres(REASON);
    return verdictOf(fenced.at === 'undoing' ? await this.steps.undoPostgres() : fenced);
  }

  async effects(): Promise<Effects> {
    return await this.effectsInPostgres();
  }

  async crash(occasion: Occasion): Promise<void> {
    await endBackend(this.bench, occasion);
  }

  async fenceWaits(): Promise<void> {
    await eventually(
      async () => {
        const { rowCount } = await this.bench.world.postgres.query(
          `select 1 from pg_stat_activity where datname = current_database()
          and wait_event_type = 'Lock' and query like '%twinwrite.fence(%'`,
        );
        return rowCount === 0 ? undefined : true;
      },
      'the fence waits for the open claim',
      5_000,
    );
  }
}

/** What both forms of Mongo leg have in common: Postgres comes first, and decides. */
abstract class MongoLeg extends Leg {
  #claim: Claim | undefined;

  get claim(): Claim {
    if (this.#claim === undefined) throw new Error('prepare() comes first');
    return this.#claim;
  }

  async prepare(): Promise<void> {
    const answer = await this.steps.applyPostgres();
    if (answer.at !== 'forward') throw new Error(`expected forward, not ${answer.at}`);
    this.#claim = answer.claim;
  }

  async apply(): Promise<Verdict> {
    // What is not undone is not settled as undone: as if the worker had died between the leg and
    // its settling.
    const answer = await this.steps.applyMongo({ ...this.claim, undone: true });
    if (answer.at === 'fencedOut') return { applied: false };
    if (answer.at === 'refused') return { applied: false, reason: answer.reason };
    return this.verdictOf(answer);
  }

  /** What MongoDB found, seen through what Postgres says of the update. */
  protected verdictOf(answer: LedgerAnswer): Verdict {
    return verdictOf(answer);
  }

  async effects(): Promise<Effects> {
    return await this.effectsInMongo();
  }

  protected override copy(...parameters: CopyParameters): this {
    const leg = super.copy(...parameters);
    if (leg.token === this.token) leg.#claim = this.#claim;
    return leg;
  }
}

export class MongoTransactionLeg extends MongoLeg {
  readonly applyPlace = 'mongo.apply';
  readonly undoPlace = 'mongo.undo';

  async fence(): Promise<{ readonly at: string }> {
    return await this.steps.fenceMongo(this.claim);
  }

  async takeBack(): Promise<Verdict> {
    await this.steps.fencePostgres(REASON);
    const fenced = await this.steps.fenceMongo(this.claim);
    if (fenced.at === 'applied') return { applied: true, result: this.claim.result };
    return { applied: false, reason: REASON };
  }

  /** It goes on to settle only where MongoDB has it, whatever Postgres has decided meanwhile. */
  protected override verdictOf(answer: LedgerAnswer): Verdict {
    return answer.at === 'undoing'
      ? { applied: true, result: answer.claim.result }
      : verdictOf(answer);
  }

  async crash({ session }: Occasion): Promise<void> {
    // By another session, so that the leg hears of it from the server.
    await this.bench.world.mongo.db('admin').command({ killSessions: [{ id: session?.id?.id }] });
  }

  async fenceWaits(): Promise<void> {
    const { world } = this.bench;
    const waiting = [
      { $currentOp: {} },
      {
        $match: {
          'command.findAndModify': 'twinwrite_ledger',
          'command.$db': world.mongo.db().databaseName,
          'command.query._id': `${this.bench.definition.name}/${this.token}`,
        },
      },
    ];
    await eventually(
      async () => {
        const found = await world.mongo.db('admin').aggregate(waiting).toArray();
        return found.length === 0 ? undefined : true;
      },
      'the fence waits for the open claim',
      5_000,
    );
  }
}

export class MongoProjectionLeg extends MongoLeg {
  /** A projection has no callback in MongoDB: reading its image is what can be held up. */
  readonly applyPlace = 'image';
  readonly undoPlace = 'postgres.undo';

  async fence(): Promise<{ readonly at: string }> {
    return await this.steps.applyMongo(this.claim);
  }

  /** The image of after the undo, at its new version, is the fence (F21). */
  async takeBack(): Promise<Verdict> {
    return verdictOfOutcome(await driveBack(this.steps, REASON));
  }

  /** A tombstone stands for what is gone, and Postgres says how often. */
  override async effects(): Promise<Effects> {
    const found = await this.effectsInMongo();
    return found.undone > 0 ? await this.effectsInPostgres() : found;
  }

  /** Between reading the image and writing it. */
  async crash(occasion: Occasion): Promise<void> {
    await endBackend(this.bench, occasion);
  }

  fenceWaits(): Promise<void> {
    throw new Error('a version waits for nobody');
  }
}

async function endBackend({ world }: Bench, { client }: Occasion): Promise<void> {
  const found = await client?.query<{ pid: number }>('select pg_backend_pid() as pid');
  await world.postgres.query('select pg_terminate_backend($1)', [found?.rows[0]?.pid]);
}

function verdictOf(answer: LedgerAnswer): Verdict {
  switch (answer.at) {
    case 'forward':
      return { applied: true, result: answer.claim.result };
    case 'undoing':
      return { applied: false, reason: answer.reason };
    case 'settled':
      return verdictOfOutcome(answer.outcome);
    default:
      throw new Error('a token that is alone on its entities waits for nobody');
  }
}

function verdictOfOutcome(outcome: Outcome<Json>): Verdict {
  if (outcome.status === 'applied') return { applied: true, result: outcome.result };
  return { applied: false, reason: outcome.reason };
}
