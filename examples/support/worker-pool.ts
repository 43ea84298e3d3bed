import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { ExampleFailure } from './example-failure';
import type { Lifetime } from './lifetime';
import { lastLineOf, type ProductProcess, startProduct } from './product-command';
import type { Site } from './site';

const START_LIMIT_MILLIS = 60_000;
/** Longer than a worker gives its legs in flight. */
const STOP_LIMIT_MILLIS = 10_000;
const POLL_MILLIS = 50;

/** Worker processes that share the run's task queue, each of them `twinwrite worker`. */
export class WorkerPool {
  readonly #members: Member[];

  private constructor(members: Member[]) {
    this.#members = members;
  }

  /**
   * Starts them and waits until every one says that it is ready. One that ends by itself, now or
   * later, ends the run.
   */
  static async start(
    site: Site,
    config: string,
    size: number,
    lifetime: Lifetime,
  ): Promise<WorkerPool> {
    const numbers = Array.from({ length: size }, (_, index) => index + 1);
    const pool = new WorkerPool(
      numbers.map((number) => {
        const args = ['worker', '--config', config];
        return new Member(number, startProduct(site, `worker-${number}`, args), lifetime);
      }),
    );
    lifetime.onClose(() => pool.#stop(lifetime.signal.aborted));
    await lifetime.during(Promise.all(pool.#members.map((member) => member.untilReady())));
    return pool;
  }

  get processIds(): readonly number[] {
    return this.#members.map(({ processId }) => processId);
  }

  /**
   * Kills the last member as a power cut would: with SIGKILL, in the middle of whatever it does.
   */
  async killOne(): Promise<number> {
    const victim = this.#members.pop();
    if (victim === undefined) throw new ExampleFailure('There is no worker left to kill.');
    await victim.kill();
    return victim.processId;
  }

  /** An interrupted run has nothing to drain: its databases go too. */
  async #stop(atOnce: boolean): Promise<void> {
    await Promise.all(this.#members.map((member) => (atOnce ? member.kill() : member.stop())));
  }
}

class Member {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #isExpectedToEnd = false;

  constructor(
    private readonly number: number,
    private readonly product: ProductProcess,
    lifetime: Lifetime,
  ) {
    this.#child = product.child;
    this.#ended = once(this.#child, 'exit').catch(() => undefined);
    void this.#ended.then(async () => {
      if (this.#isExpectedToEnd) return;
      const why = await lastLineOf(product.logFile);
      lifetime.end(new ExampleFailure(`Worker ${number} ended by itself: ${why}`));
    });
  }

  get processId(): number {
    return this.#child.pid ?? 0;
  }

  async untilReady(): Promise<void> {
    const deadline = Date.now() + START_LIMIT_MILLIS;
    while (!(await this.#isReady())) {
      if (Date.now() > deadline) {
        const why = await lastLineOf(this.product.logFile);
        throw new ExampleFailure(
          `Worker ${this.number} was not ready within ${START_LIMIT_MILLIS / 1_000} s: ${why}`,
        );
      }
      await sleep(POLL_MILLIS);
    }
  }

  async kill(): Promise<void> {
    this.#isExpectedToEnd = true;
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  async stop(): Promise<void> {
    this.#isExpectedToEnd = true;
    this.#child.kill('SIGTERM');
    const limit = new AbortController();
    const late = sleep(STOP_LIMIT_MILLIS, undefined, { signal: limit.signal }).catch(() => {});
    await Promise.race([this.#ended, late]);
    limit.abort();
    await this.kill();
  }

  async #isReady(): Promise<boolean> {
    const health = await this.#healthUrl();
    if (health === undefined) return false;
    const answer = await fetch(`${health}/ready`).catch(() => undefined);
    return answer?.ok === true;
  }

  /** The worker picks a free port, and says which in a line of its log. */
  async #healthUrl(): Promise<string | undefined> {
    const text = await readFile(this.product.logFile, 'utf8').catch(() => '');
    return /"health":"(http:[^"]+)"/.exec(text)?.[1];
  }
}
