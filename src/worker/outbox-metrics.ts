import { Counter, Gauge, type Registry, Summary } from 'prom-client';
import type { OutboxBacklog } from '../activities/postgres/outbox';

/** The quantiles are those of the last ten minutes, in steps of two. */
const WINDOW_SECONDS = 600;
const STEPS = 5;

/**
 * What is enlisted and not started yet. Every worker of a task queue tells the same backlog: take
 * the greatest. Quantiles of several workers have no sum either: the greatest is a bound.
 */
export class OutboxMetrics {
  readonly #lag: Summary;
  readonly #parked: Counter;
  readonly #rows: Gauge;
  readonly #oldest: Gauge;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#lag = new Summary({
      name: 'twinwrite_outbox_lag_seconds',
      help: 'Time from the enlisting of an update to its start, the rest of its transaction included',
      percentiles: [0.5, 0.95, 0.99],
      maxAgeSeconds: WINDOW_SECONDS,
      ageBuckets: STEPS,
      pruneAgedBuckets: false,
      registers,
    });
    this.#parked = new Counter({
      name: 'twinwrite_outbox_parked_total',
      help: 'How often the start of an enlisted update was refused, by error code; each slow retry that fails counts',
      labelNames: ['definition', 'code'],
      registers,
    });
    this.#rows = new Gauge({
      name: 'twinwrite_outbox_rows',
      help: 'Enlisted updates of this task queue that are not started, the first 10,000 of them; parked ones need somebody',
      labelNames: ['state'],
      registers,
    });
    this.#oldest = new Gauge({
      name: 'twinwrite_outbox_oldest_seconds',
      help: 'Age of the oldest enlisted update of this task queue that is not started; 0 when there is none',
      registers,
    });
  }

  observeStart(lagMillis: number): void {
    this.#lag.observe(lagMillis / 1_000);
  }

  countParked(definition: string, code: string): void {
    this.#parked.inc({ definition, code });
  }

  showBacklog({ waiting, parked, oldestSeconds }: OutboxBacklog): void {
    this.#rows.set({ state: 'waiting' }, waiting);
    this.#rows.set({ state: 'parked' }, parked);
    this.#oldest.set(oldestSeconds);
  }
}
