import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Pool } from 'pg';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { OutcomeStatus } from '../domain/outcome';
import { OutboxMetrics } from './outbox-metrics';

interface LegSample {
  readonly definition: string;
  readonly leg: string;
  readonly answer: string;
  readonly durationMillis: number;
}

interface LegFailure {
  readonly definition: string;
  readonly leg: string;
  readonly code: string;
}

/**
 * Twinwrite's own metrics; Temporal's come from its own exporter. No label holds a token or an
 * entity: their number has no bound.
 */
export class WorkerMetrics {
  readonly #registry = new Registry();
  readonly #attempts = new Counter({
    name: 'twinwrite_leg_attempts_total',
    help: 'Attempts of a leg, by what they answered',
    labelNames: ['definition', 'leg', 'answer'],
    registers: [this.#registry],
  });
  readonly #failures = new Counter({
    name: 'twinwrite_leg_failures_total',
    help: 'Attempts of a leg that failed, by error code',
    labelNames: ['definition', 'leg', 'code'],
    registers: [this.#registry],
  });
  readonly #parked = new Counter({
    name: 'twinwrite_parked_total',
    help: 'How often an update was parked because a step needs somebody, by error code; each slow retry that fails counts',
    labelNames: ['definition', 'leg', 'code'],
    registers: [this.#registry],
  });
  readonly #duration = new Histogram({
    name: 'twinwrite_leg_duration_seconds',
    help: 'How long an attempt of a leg took, waiting for a connection included',
    labelNames: ['definition', 'leg'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers: [this.#registry],
  });
  readonly #outcomes = new Counter({
    name: 'twinwrite_outcomes_total',
    help: 'Updates that this worker saw settled, by outcome',
    labelNames: ['definition', 'status'],
    registers: [this.#registry],
  });
  readonly outbox = new OutboxMetrics(this.#registry);

  readonly #takenByJanitor = new Counter({
    name: 'twinwrite_janitor_taken_total',
    help: 'How often the janitor took an update whose driver was late; each try counts',
    labelNames: ['definition'],
    registers: [this.#registry],
  });
  readonly #settledByJanitor = new Counter({
    name: 'twinwrite_janitor_settled_total',
    help: 'Updates that the janitor brought to their outcome, or found settled meanwhile',
    labelNames: ['definition', 'status'],
    registers: [this.#registry],
  });

  readonly #epoch = new Gauge({
    name: 'twinwrite_epoch',
    help: 'The epoch of the stores, when they were last found in agreement',
    registers: [this.#registry],
  });
  readonly #stopped = new Gauge({
    name: 'twinwrite_epoch_stopped',
    help: '1 for the store that went back in time, or none where no update moves for another reason of the stores. An alarm',
    labelNames: ['store'],
    registers: [this.#registry],
  });

  constructor(postgres: Pool) {
    this.#allOpen();
    for (const gauge of [buildInfo(), ...poolGauges(postgres)])
      this.#registry.registerMetric(gauge);
  }

  observeLeg({ definition, leg, answer, durationMillis }: LegSample): void {
    this.#attempts.inc({ definition, leg, answer });
    this.#duration.observe({ definition, leg }, durationMillis / 1_000);
  }

  countFailure({ definition, leg, code }: LegFailure): void {
    this.#failures.inc({ definition, leg, code });
  }

  countParked({ definition, leg, code }: LegFailure): void {
    this.#parked.inc({ definition, leg, code });
  }

  countOutcome(definition: string, status: OutcomeStatus): void {
    this.#outcomes.inc({ definition, status });
  }

  countTakenByJanitor(definition: string): void {
    this.#takenByJanitor.inc({ definition });
  }

  countSettledByJanitor(definition: string, status: OutcomeStatus): void {
    this.#settledByJanitor.inc({ definition, status });
  }

  /** The stores agree. */
  setEpoch(epoch: number): void {
    this.#epoch.set(epoch);
    this.#allOpen();
  }

  /** Nothing is written, because this store went back in time, or for another reason. */
  setStopped(store: 'PostgreSQL' | 'MongoDB' | 'none'): void {
    this.#allOpen();
    this.#stopped.set({ store }, 1);
  }

  #allOpen(): void {
    for (const store of ['PostgreSQL', 'MongoDB', 'none']) this.#stopped.set({ store }, 0);
  }

  async expose(): Promise<string> {
    return await this.#registry.metrics();
  }
}

// Kept out of prom-client's own registry: two workers in one process would meet there.
const registers: Registry[] = [];

function buildInfo(): Gauge {
  const gauge = new Gauge({
    name: 'twinwrite_build_info',
    help: 'Always 1; its labels say what runs',
    labelNames: ['version', 'node'],
    registers,
  });
  gauge.set({ version: ownVersion(), node: process.versions.node }, 1);
  return gauge;
}

function poolGauges(postgres: Pool): Gauge[] {
  const connections = new Gauge({
    name: 'twinwrite_postgres_connections',
    help: "Connections of the worker's PostgreSQL pool",
    labelNames: ['state'],
    registers,
    collect() {
      this.set({ state: 'idle' }, postgres.idleCount);
      this.set({ state: 'in_use' }, postgres.totalCount - postgres.idleCount);
    },
  });
  const limit = new Gauge({
    name: 'twinwrite_postgres_connections_limit',
    help: "How many connections the worker's PostgreSQL pool may have",
    registers,
    collect() {
      this.set(postgres.options.max ?? 0);
    },
  });
  const waiting = new Gauge({
    name: 'twinwrite_postgres_waiting',
    help: 'Callers that wait for a connection of the PostgreSQL pool; above 0 for long, the pool is too small',
    registers,
    collect() {
      this.set(postgres.waitingCount);
    },
  });
  return [connections, limit, waiting];
}

function ownVersion(): string {
  // The same place from src and from dist.
  const file = join(__dirname, '..', '..', 'package.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
