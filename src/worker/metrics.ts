import { Counter, Histogram, Registry } from 'prom-client';

interface LegSample {
  readonly definition: string;
  readonly leg: string;
  readonly answer: string;
  readonly durationMillis: number;
}

/** Twinwrite's own metrics; Temporal's come from its own exporter. */
export class WorkerMetrics {
  readonly #registry = new Registry();
  readonly #attempts = new Counter({
    name: 'twinwrite_leg_attempts_total',
    help: 'Attempts of a leg, by what they answered',
    labelNames: ['definition', 'leg', 'answer'],
    registers: [this.#registry],
  });
  readonly #duration = new Histogram({
    name: 'twinwrite_leg_duration_seconds',
    help: 'How long an attempt of a leg took',
    labelNames: ['definition', 'leg'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [this.#registry],
  });

  observeLeg({ definition, leg, answer, durationMillis }: LegSample): void {
    this.#attempts.inc({ definition, leg, answer });
    this.#duration.observe({ definition, leg }, durationMillis / 1_000);
  }

  async expose(): Promise<string> {
    return await this.#registry.metrics();
  }
}
