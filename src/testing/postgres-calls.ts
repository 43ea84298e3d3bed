import type { Pool, PoolClient } from 'pg';
import { labelOf, type StoreCalls } from './store-calls';

/** The pool, as one driver sees it: whose calls are counted and may be cut. */
export function watchedPool(pool: Pool, calls: StoreCalls): Pool {
  return withOverrides(pool, {
    connect: async () => watchedClient(await pool.connect(), calls),
  });
}

function watchedClient(client: PoolClient, calls: StoreCalls): PoolClient {
  let isReading = false;
  const ask = client.query.bind(client) as (...parameters: unknown[]) => Promise<unknown>;
  const breakConnection = async (): Promise<Error> => {
    await client.end();
    return new Error('Connection terminated unexpectedly');
  };
  const query = async (...parameters: unknown[]): Promise<unknown> => {
    const text = textOf(parameters[0]);
    const verb = /^\s*(\w*)/.exec(text)?.[1]?.toLowerCase();
    if (verb === 'begin') isReading = text.includes('read only');
    const kind = kindOf(verb, text, isReading);
    if (kind === undefined) return await ask(...parameters);
    const call = { store: 'PostgreSQL', kind, label: labelOf(text) } as const;
    return await calls.pass(call, () => ask(...parameters), breakConnection);
  };
  return withOverrides(client, { query });
}

/** Nothing is gained by cutting what only reads, or the ledger's own statements before the commit. */
function kindOf(
  verb: string | undefined,
  text: string,
  isReading: boolean,
): 'statement' | 'commit' | undefined {
  const isOurs = text.trim() === '' || text.includes('twinwrite.');
  if (isReading || isOurs || verb === 'begin' || verb === 'rollback') return undefined;
  return verb === 'commit' ? 'commit' : 'statement';
}

function textOf(query: unknown): string {
  if (typeof query === 'string') return query;
  const text = (query as { text?: unknown } | null)?.text;
  return typeof text === 'string' ? text : 'a query';
}

/**
 * The same object but for some methods. Every other method runs on the object itself, since classes
 * with private fields know no stand-in.
 */
export function withOverrides<Target extends object>(
  target: Target,
  overrides: Readonly<Record<string, unknown>>,
): Target {
  return new Proxy(target, {
    get: (_, name) => {
      if (typeof name === 'string' && Object.hasOwn(overrides, name)) return overrides[name];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
