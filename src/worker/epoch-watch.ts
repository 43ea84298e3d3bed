import type { Logger } from 'pino';
import type { EpochCheck } from '../activities/epoch-check';
import { isTwinwriteError } from '../domain/errors';
import type { WorkerMetrics } from './metrics';

const CHECK_EVERY_MILLIS = 1_000;

/** So long a comparison may fail: a store that is away is told of by other means. */
const PATIENCE_MILLIS = 10_000;

/** While nothing changes, whoever reads the log is reminded this often. */
const REMIND_EVERY_MILLIS = 60_000;

/**
 * Has both stores compared about once a second, and says loudly when they are stopped: in the log,
 * in the metrics, and in what readiness answers. Each worker does so: the more workers, the more
 * ticks, each of which is a small commit in each store.
 */
export class EpochWatch {
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #isClosed = false;
  #problem: string | undefined;
  #comparedAt = performance.now();
  #remindAt = 0;

  constructor(
    private readonly check: EpochCheck,
    private readonly metrics: WorkerMetrics,
    private readonly logger: Logger,
  ) {}

  /**
   * Compares for the first time: stores that are stopped do not keep a worker from starting, which
   * then waits for the epoch to be raised.
   *
   * @throws TwinwriteError `UnsuitableStore`
   */
  async start(): Promise<void> {
    await this.#look().catch((error: unknown) => {
      if (isTwinwriteError(error, 'UnsuitableStore')) throw error;
      this.#tell(error);
    });
    this.#plan();
  }

  /** Why no update moves, or nothing. */
  findProblem(): string | undefined {
    return this.#problem;
  }

  /** Ends when the comparison under way has ended. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  #plan(): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#running = this.#look()
        .catch((error: unknown) => this.#tell(error))
        .finally(() => this.#plan());
    }, CHECK_EVERY_MILLIS);
  }

  async #look(): Promise<void> {
    const epoch = await this.check.run();
    if (this.#problem !== undefined) this.logger.info({ epoch }, 'the stores are open again');
    this.#problem = undefined;
    this.#comparedAt = performance.now();
    this.metrics.setEpoch(epoch);
  }

  #tell(error: unknown): void {
    const problem = this.#problemOf(error);
    if (problem === undefined) return;
    const isNew = this.#problem !== problem;
    this.#problem = problem;
    this.metrics.setStopped(isTwinwriteError(error, 'StoresStopped') ? error.fields.store : 'none');
    if (!isNew && Date.now() < this.#remindAt) return;
    this.#remindAt = Date.now() + REMIND_EVERY_MILLIS;
    this.logger.error({ err: error }, 'the stores are stopped: no update moves');
  }

  #problemOf(error: unknown): string | undefined {
    if (isTwinwriteError(error)) return error.message;
    this.logger.debug({ err: error }, 'the stores could not be compared');
    const isLong = performance.now() - this.#comparedAt > PATIENCE_MILLIS;
    return isLong ? 'the stores cannot be compared; the log says why' : undefined;
  }
}
