import { Client } from '@temporalio/client';
import type { Pool, PoolClient } from 'pg';
import type { Logger } from 'pino';
import * as outbox from '../activities/postgres/outbox';
import { OutboxListener } from '../activities/postgres/outbox-listener';
import { inTransaction } from '../activities/postgres/transaction';
import { SearchAttributeProbe } from '../client/search-attribute-probe';
import type { Starting } from '../client/start-update';
import { type StartAnswer, startEnlisted } from './enlisted-start';
import type { OutboxMetrics } from './outbox-metrics';
import { within } from './stores';
import type { TemporalConnection } from './temporal-connection';

/** What a lost notification costs at most. */
const POLL_EVERY_MILLIS = 1_000;
const START_AT_MOST = 20;
const START_WITHIN_MILLIS = 5_000;
/**
 * A relay that freezes with its rows locked loses them after seven tenths of this, which is more
 * than the starts may take.
 */
const RELAY_WITHIN_MILLIS = 10_000;
const COUNT_EVERY_MILLIS = 5_000;
/** A start that failed this often is no longer a hiccup. */
const LOUD_ATTEMPT = 5;

export interface RelayOptions {
  readonly temporal: TemporalConnection;
  readonly postgres: Pool;
  readonly taskQueue: string;
  readonly metrics: OutboxMetrics;
  readonly logger: Logger;
  /** For tests of Twinwrite itself. */
  readonly pollEveryMillis?: number;
}

/**
 * Starts the updates that transactions have enlisted: locks some rows, starts their workflows, and
 * deletes the rows in the transaction that locked them. Dying in between it leaves them to the next
 * relay, which starts them again and finds them started; so nothing is lost and nothing doubles.
 * Any number of relays share the rows.
 *
 * It is woken by a notification, and looks once a second for what nobody told it of. One row whose
 * start fails is put behind the others; while Temporal is away it asks with one row at a time.
 */
export class Relay {
  readonly #starting: Starting;
  readonly #listener: OutboxListener;
  #loop: Promise<void> = Promise.resolve();
  readonly #starts = new Set<Promise<unknown>>();
  #isClosed = false;
  #isAway = false;
  #countedAt = Number.NEGATIVE_INFINITY;
  #isWoken = false;
  #wakeUp = () => {};

  constructor(private readonly options: RelayOptions) {
    const { temporal, postgres, taskQueue, logger } = options;
    const { connection, namespace } = temporal;
    const client = new Client({ connection, namespace });
    this.#starting = { client, probe: new SearchAttributeProbe(client), taskQueue };
    const onEnlisted = () => this.#wake();
    this.#listener = new OutboxListener({ pool: postgres, taskQueue, onEnlisted, logger });
  }

  /** Begins to listen and to look. */
  start(): void {
    this.#listener.start();
    this.#loop = this.#relayUntilClosed();
  }

  /** Ends when the starts under way have ended: the connection is closed next. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#wake();
    await this.#listener.close();
    await this.#loop;
    await Promise.all(this.#starts);
  }

  #wake(): void {
    this.#isWoken = true;
    this.#wakeUp();
  }

  async #relayUntilClosed(): Promise<void> {
    while (!this.#isClosed) {
      this.#isWoken = false;
      const isMoreLikely = await this.#relaySome();
      if (!isMoreLikely) await this.#untilWokenOrDue();
    }
  }

  /** While Temporal is away a notification is no reason to ask it again. */
  async #untilWokenOrDue(): Promise<void> {
    if (this.#isClosed || (this.#isWoken && !this.#isAway)) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wakeUp = () => {
        if (this.#isClosed || !this.#isAway) resolve();
      };
      timer = setTimeout(resolve, this.options.pollEveryMillis ?? POLL_EVERY_MILLIS);
    });
    clearTimeout(timer);
  }

  /** Whether there may be more to do at once. Never fails. */
  async #relaySome(): Promise<boolean> {
    const { postgres, taskQueue, logger } = this.options;
    try {
      // Asked once a minute at most, and not while rows are locked.
      await this.#starting.probe.areRegistered();
      const atMost = this.#isAway ? 1 : START_AT_MOST;
      const taken = await inTransaction(
        postgres,
        { timeoutMillis: RELAY_WITHIN_MILLIS },
        async (client) => {
          const starts = await outbox.takeStarts(client, taskQueue, atMost);
          if (starts.length > 0) await this.#relay(client, starts);
          return starts.length;
        },
      );
      await this.#showBacklog();
      return taken === atMost && !this.#isAway;
    } catch (error) {
      // What was started is found started the next time.
      logger.debug({ err: error }, 'could not look for enlisted updates');
      return false;
    }
  }

  async #relay(client: PoolClient, starts: readonly outbox.EnlistedStart[]): Promise<void> {
    const takenAt = performance.now();
    const answers = await Promise.all(
      starts.map(async (start) => {
        const answer = await this.#start(start);
        return { start, answer, lagMillis: start.waitedMillis + performance.now() - takenAt };
      }),
    );
    const started = answers.filter(({ answer }) => answer.at === 'started');
    const failed = answers.filter(({ answer }) => answer.at !== 'started');
    if (started.length > 0) {
      await outbox.forgetStarts(
        client,
        started.map(({ start }) => start.id),
      );
    }
    const postponed = failed.map(({ start, answer }) => this.#postpone(start, answer));
    if (postponed.length > 0) await outbox.postponeStarts(client, postponed);
    for (const { lagMillis } of started) this.options.metrics.observeStart(lagMillis);
    this.#noteAbsence(answers.every(({ answer }) => answer.at === 'unavailable'));
  }

  /**
   * Temporal's native client keeps trying beyond any deadline that it is given. What comes of a start
   * that nobody waits for any more, the next one finds.
   */
  async #start(enlisted: outbox.EnlistedStart): Promise<StartAnswer> {
    const start = startEnlisted(this.#starting, enlisted);
    const kept: Promise<unknown> = start.finally(() => this.#starts.delete(kept));
    this.#starts.add(kept);
    return await within(START_WITHIN_MILLIS, start).catch(
      (error: unknown) => ({ at: 'unavailable', error }) as const,
    );
  }

  #postpone(start: outbox.EnlistedStart, answer: StartAnswer): outbox.Postponed {
    const { id, definition, token } = start;
    const { logger, metrics } = this.options;
    if (answer.at !== 'refused') {
      const error = answer.at === 'unavailable' ? answer.error : undefined;
      const level = start.attempts >= LOUD_ATTEMPT ? 'warn' : 'debug';
      logger[level]({ err: error, definition, token }, 'an enlisted update waits for Temporal');
      return { id };
    }
    const { code, error } = answer;
    metrics.countParked(definition, code);
    logger.error(
      { err: error, definition, token },
      'an enlisted update cannot be started: it needs somebody',
    );
    return { id, parked: `${code}: ${error.message}` };
  }

  #noteAbsence(isAway: boolean): void {
    if (isAway === this.#isAway) return;
    this.#isAway = isAway;
    const { logger } = this.options;
    if (isAway) logger.warn('Temporal starts no enlisted updates; they wait in PostgreSQL');
    else logger.info('Temporal starts enlisted updates again');
  }

  async #showBacklog(): Promise<void> {
    if (performance.now() - this.#countedAt < COUNT_EVERY_MILLIS) return;
    this.#countedAt = performance.now();
    const { postgres, taskQueue, metrics } = this.options;
    metrics.showBacklog(await outbox.countStarts(postgres, taskQueue));
  }
}
