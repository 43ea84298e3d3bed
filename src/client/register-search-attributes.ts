import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { type Client, isGrpcServiceError } from '@temporalio/client';
import { SearchAttributeType } from '@temporalio/common';
import { TwinwriteError } from '../domain/errors';
import { RUNNING, SEARCH_ATTRIBUTES } from '../domain/search-attributes';
import { throwAsTwinwriteError } from './temporal-errors';

/**
 * What became of the search attributes. They only make updates easier to find: each answer leaves a
 * namespace that works.
 */
export type SearchAttributeRegistration =
  /** The namespace had all of them. */
  | { readonly status: 'present' }
  /** They are registered now, and a start that names them is accepted. */
  | { readonly status: 'registered'; readonly names: readonly string[] }
  /** Registered, but not usable everywhere within the wait: they will be, without any doing. */
  | { readonly status: 'pending'; readonly names: readonly string[] }
  /** The server does not let this caller register them. */
  | { readonly status: 'denied'; readonly names: readonly string[]; readonly reason: string };

export interface RegistrationOptions {
  /** How long to wait until they are usable. At least 1; 30,000 unless given. */
  readonly timeoutMillis?: number;
}

const USABLE_WITHIN_MILLIS = 30_000;
const PROBE_INTERVAL_MILLIS = 250;

/** A queue that nobody polls: the start that tests the attributes never runs anything. */
const PROBE_TASK_QUEUE = 'twinwrite-search-attribute-probe';

/** gRPC's codes for "you may not", "not on this server" and "no room for more of this type". */
const DENIALS: Readonly<Record<number, string>> = {
  3: 'the server refuses them',
  7: 'no permission',
  8: 'the namespace has no room for more',
  9: 'the server refuses them',
  12: 'the server does not offer it',
};
const INVALID_ARGUMENT = 3;
const ALREADY_EXISTS = 6;

/**
 * Gives the client's namespace the search attributes that Twinwrite fills, and waits until they can
 * be used: listed by the server, and accepted in a start. May run any number of times and in
 * several processes at once.
 *
 * A cluster of several frontends may refuse them for some seconds more, since each keeps its own
 * copy of the list.
 *
 * @throws TwinwriteError `Unavailable`; `InvalidConfiguration` when an attribute of that name has
 * another type.
 */
export async function registerSearchAttributes(
  client: Client,
  options: RegistrationOptions = {},
): Promise<SearchAttributeRegistration> {
  const { timeoutMillis = USABLE_WITHIN_MILLIS } = options;
  const names = await missingSearchAttributes(client);
  if (names.length === 0) return { status: 'present' };
  const reason = await add(client, names);
  if (reason !== undefined) return { status: 'denied', names, reason };
  const isUsable = await waitUntilUsable(client, Date.now() + timeoutMillis);
  return { status: isUsable ? 'registered' : 'pending', names };
}

/**
 * The names that the namespace lacks. It reads only; without the right to read them it says that
 * all are missing.
 *
 * @throws TwinwriteError `Unavailable`; `InvalidConfiguration` when an attribute of that name has
 * another type.
 */
export async function missingSearchAttributes(client: Client): Promise<readonly string[]> {
  const { namespace } = client.options;
  const present: Readonly<Record<string, number>> = await client.connection.operatorService
    .listSearchAttributes({ namespace })
    .then(({ customAttributes }) => customAttributes)
    .catch((error: unknown) => {
      if (denialOf(error) !== undefined) return {};
      return throwAsTwinwriteError({})(error);
    });
  for (const { name, type } of SEARCH_ATTRIBUTES) {
    const found = present[name];
    if (found === undefined || found === INDEXED_VALUE_TYPES[type]) continue;
    throw new TwinwriteError('InvalidConfiguration', {
      problem: `The namespace "${namespace}" has a search attribute ${name} that is no ${type}. Remove it (temporal operator search-attribute remove --name ${name}) and try again.`,
    });
  }
  return SEARCH_ATTRIBUTES.map(({ name }) => name).filter((name) => !(name in present));
}

/** Temporal's numbers for the types that our attributes have. */
const INDEXED_VALUE_TYPES = { [SearchAttributeType.KEYWORD]: 2 } as const;

/** Says why the server does not take them, or nothing when it did. */
async function add(client: Client, names: readonly string[]): Promise<string | undefined> {
  const wanted = SEARCH_ATTRIBUTES.filter(({ name }) => names.includes(name));
  try {
    await client.connection.operatorService.addSearchAttributes({
      namespace: client.options.namespace,
      searchAttributes: Object.fromEntries(
        wanted.map(({ name, type }) => [name, INDEXED_VALUE_TYPES[type]]),
      ),
    });
    return undefined;
  } catch (error) {
    // Somebody else registered them in between.
    if (grpcCodeOf(error) === ALREADY_EXISTS) return undefined;
    return denialOf(error) ?? throwAsTwinwriteError({})(error);
  }
}

function denialOf(error: unknown): string | undefined {
  const code = grpcCodeOf(error);
  return code === undefined ? undefined : DENIALS[code];
}

async function waitUntilUsable(client: Client, untilMillis: number): Promise<boolean> {
  for (;;) {
    const missing = await missingSearchAttributes(client);
    if (missing.length === 0 && (await isStartAccepted(client))) return true;
    if (Date.now() >= untilMillis) return false;
    await pause(PROBE_INTERVAL_MILLIS);
  }
}

/**
 * The list may be ahead of what a start is checked against, so one is started, and deleted at once.
 */
async function isStartAccepted(client: Client): Promise<boolean> {
  const workflowId = `${PROBE_TASK_QUEUE}/${randomUUID()}`;
  try {
    await client.workflow.start('searchAttributeProbe', {
      workflowId,
      taskQueue: PROBE_TASK_QUEUE,
      workflowExecutionTimeout: '10 seconds',
      typedSearchAttributes: SEARCH_ATTRIBUTES.map((key) => ({ key, value: RUNNING })),
    });
  } catch (error) {
    if (isRefusedStart(error)) return false;
    return throwAsTwinwriteError({})(error);
  }
  await client.connection.workflowService
    .deleteWorkflowExecution({
      namespace: client.options.namespace,
      workflowExecution: { workflowId },
    })
    // Without the right to delete it, it ends by itself in seconds.
    .catch(() => undefined);
  return true;
}

function isRefusedStart(error: unknown): boolean {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return grpcCodeOf(cause) === INVALID_ARGUMENT;
}

function grpcCodeOf(error: unknown): number | undefined {
  return isGrpcServiceError(error) ? error.code : undefined;
}
