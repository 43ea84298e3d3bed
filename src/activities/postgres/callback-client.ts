import type { PoolClient } from 'pg';
import type { PostgresClient } from '../../domain/definition';
import { TwinwriteError } from '../../domain/errors';
import { runCallback } from '../callback-fault';

// Only what ends or opens the transaction: savepoints stay inside it.
const TRANSACTION_CONTROL =
  /^(?:\s|--[^\n]*\n|\/\*[\s\S]*?\*\/)*(?:begin|start|commit|end|abort|rollback(?!\s+(?:work\s+|transaction\s+)?to\b)|prepare\s+transaction)\b/i;

/**
 * Lends a callback the transaction's client and takes it back (F37). While lent it answers queries
 * and refuses to end the transaction; afterwards it refuses everything.
 *
 * What can only be seen afterwards is caught before COMMIT: a query that nobody awaited, a
 * statement that failed and whose error was swallowed, a transaction that was ended by other means.
 *
 * @param isOfOtherStore for a callback that is lent the other store as well: whether an error is
 *   that store's, and no fault of the callback.
 */
export async function lendClient<Result>(
  definition: string,
  client: PoolClient,
  callback: (lent: PostgresClient) => Promise<Result>,
  isOfOtherStore: (error: unknown) => boolean = () => false,
): Promise<Result> {
  const lent = new LentClient(definition, client);
  try {
    const result = await runCallback(
      () => callback(lent.asClient()),
      (error) => lent.threw(error) || isOfOtherStore(error),
    );
    await lent.assertUndisturbed();
    return result;
  } finally {
    lent.revoke();
  }
}

class LentClient {
  #open = 0;
  readonly #errors = new Set<unknown>();
  #revoked = false;

  constructor(
    private readonly definition: string,
    private readonly client: PoolClient,
  ) {}

  asClient(): PostgresClient {
    // `query` has a dozen overloads; the arguments pass through untouched, so its own type stays
    // the truth.
    return { query: this.#query.bind(this) as PoolClient['query'] };
  }

  async #query(...parameters: unknown[]): Promise<unknown> {
    if (this.#revoked) this.#misused('used its client after it had returned');
    if (parameters.some((parameter) => typeof parameter === 'function')) {
      this.#misused('passed a callback to client.query; await its promise instead');
    }
    if (TRANSACTION_CONTROL.test(textOf(parameters[0]))) {
      this.#misused('tried to begin or end the transaction, which belongs to Twinwrite');
    }
    this.#open += 1;
    try {
      const query = this.client.query.bind(this.client) as (...all: unknown[]) => Promise<unknown>;
      return await query(...parameters);
    } catch (error) {
      this.#errors.add(error);
      throw error;
    } finally {
      this.#open -= 1;
    }
  }

  async assertUndisturbed(): Promise<void> {
    if (this.#open > 0) this.#misused(`returned with ${this.#open} queries not awaited`);
    // An error reaches us before the server has said in which state it left the transaction: ask
    // once more.
    if (this.#errors.size > 0) await this.client.query('').catch(() => {});
    const status = this.client.getTransactionStatus();
    if (status === 'E') this.#misused('swallowed the error of a statement');
    if (status !== 'T') this.#misused('ended the transaction, which belongs to Twinwrite');
  }

  /** Whether an error came out of a query, and not out of the callback's own code. */
  threw(error: unknown): boolean {
    return this.#errors.has(error);
  }

  revoke(): void {
    this.#revoked = true;
  }

  #misused(problem: string): never {
    throw new TwinwriteError('TransactionMisused', { definition: this.definition, problem });
  }
}

function textOf(query: unknown): string {
  if (typeof query === 'string') return query;
  const text = (query as { text?: unknown } | null)?.text;
  return typeof text === 'string' ? text : '';
}
