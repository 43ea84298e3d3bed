import type { NativeConnection } from '@temporalio/worker';
import type { MongoClient } from 'mongodb';
import type { Pool } from 'pg';
import { within } from './stores';

/** Shorter than what probes wait: a reason is worth more than a time-out. */
const PROBE_WITHIN_MILLIS = 2_000;

interface Probed {
  readonly postgres: Pool;
  readonly mongo: MongoClient;
  readonly temporal: NativeConnection;
}

/**
 * Says why a worker cannot work, or nothing when it can: one question to each of the three servers.
 * A question that has no answer yet is not asked again, so probes never pile up in the pool of a
 * server that hangs.
 */
export class Readiness {
  readonly #questions: readonly Question[];

  constructor({ postgres, mongo, temporal }: Probed) {
    this.#questions = [
      new Question('PostgreSQL', () => postgres.query('select 1')),
      new Question('MongoDB', () => mongo.db().command({ ping: 1 })),
      new Question('Temporal', () => temporal.workflowService.getSystemInfo({})),
    ];
  }

  async findProblem(): Promise<string | undefined> {
    const answers = await Promise.all(this.#questions.map((question) => question.isAnswered()));
    const silent = this.#questions.filter((_, index) => !answers[index]).map(({ whom }) => whom);
    return silent.length === 0 ? undefined : `no answer from ${silent.join(' and ')}`;
  }
}

class Question {
  #open: Promise<boolean> | undefined;

  constructor(
    readonly whom: string,
    private readonly ask: () => Promise<unknown>,
  ) {}

  async isAnswered(): Promise<boolean> {
    this.#open ??= this.#ask().finally(() => {
      this.#open = undefined;
    });
    return await within(PROBE_WITHIN_MILLIS, this.#open).catch(() => false);
  }

  async #ask(): Promise<boolean> {
    try {
      await this.ask();
      return true;
    } catch {
      return false;
    }
  }
}
