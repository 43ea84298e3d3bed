import { delimiter, join } from 'node:path';
import { SETTING, type ServerName, StackError } from './errors';

/** What of the environment decides where the servers come from, validated and frozen. */
export interface StackEnvironment {
  readonly postgresUrl: string | undefined;
  readonly mongoUri: string | undefined;
  readonly temporalAddress: string | undefined;
  /** The folders of the PATH, in order. */
  readonly searchPath: readonly string[];
  /** Holds what was fetched or built; shared by all clones of this user. */
  readonly cacheFolder: string;
  /** For the programs that are started; without what would configure the product. */
  readonly inherited: NodeJS.ProcessEnv;
}

/**
 * Reads the settings of the stack, and only these. `DATABASE_URL`, `MONGODB_URI` and `TEMPORAL_*`
 * configure the product and may name somebody's production: they are neither read nor handed to a
 * server that is started.
 */
export function readStackEnvironment(env: NodeJS.ProcessEnv, home: string): StackEnvironment {
  return Object.freeze({
    postgresUrl: urlSetting(env, 'postgres', ['postgres:', 'postgresql:']),
    mongoUri: urlSetting(env, 'mongo', ['mongodb:', 'mongodb+srv:']),
    temporalAddress: addressSetting(env),
    searchPath: (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== ''),
    cacheFolder: cacheFolderOf(env, home),
    inherited: withoutProductSettings(env),
  });
}

function setting(env: NodeJS.ProcessEnv, server: ServerName): string | undefined {
  const value = env[SETTING[server]]?.trim();
  return value === '' ? undefined : value;
}

function urlSetting(
  env: NodeJS.ProcessEnv,
  server: ServerName,
  protocols: readonly string[],
): string | undefined {
  const value = setting(env, server);
  if (value === undefined) return undefined;
  // A connection string may name several hosts, which is no URL: only its beginning is checked.
  if (!protocols.some((protocol) => value.startsWith(`${protocol}//`))) {
    const forms = protocols.map((protocol) => `${protocol}//`).join(' or ');
    throw new StackError({
      code: 'InvalidSetting',
      variable: SETTING[server],
      reason: `it must begin with ${forms}`,
    });
  }
  return value;
}

function addressSetting(env: NodeJS.ProcessEnv): string | undefined {
  const value = setting(env, 'temporal');
  if (value === undefined || /^[^\s/:]+:\d{1,5}$|^\[[^\]]+\]:\d{1,5}$/.test(value)) return value;
  throw new StackError({
    code: 'InvalidSetting',
    variable: SETTING.temporal,
    reason: 'it must have the form host:port',
  });
}

function cacheFolderOf(env: NodeJS.ProcessEnv, home: string): string {
  const base = env['XDG_CACHE_HOME'];
  if (base !== undefined && base.startsWith('/')) return join(base, 'twinwrite');
  if (process.platform === 'darwin') return join(home, 'Library', 'Caches', 'twinwrite');
  return join(home, '.cache', 'twinwrite');
}

/**
 * A started server obeys such variables as well: `PGDATA` would move Postgres, and the Temporal
 * CLI reads `TEMPORAL_*`. The locale is fixed so that the texts of system errors are known.
 */
function withoutProductSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(
    ([name]) => !/^(TEMPORAL_|TWINWRITE_|PG[A-Z]|DATABASE_URL$|MONGODB_URI$|LC_|LANG)/.test(name),
  );
  return { ...Object.fromEntries(kept), LC_ALL: 'C' };
}
