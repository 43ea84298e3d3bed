import type { AnyCrossStoreUpdate } from '../../domain/definition';
import { isTwinwriteError } from '../../domain/errors';
import type { Finding } from '../../domain/finding';
import type { Json } from '../../domain/json';
import { LATER, withLaterClock } from '../clock';
import { finding } from '../findings';
import { type Identity, identityOf, identityOfParsed, type Sample } from '../samples';

/** A sample whose identity is the same however often it is asked. */
export interface Identified {
  readonly sample: Sample;
  readonly identity: Identity;
}

/**
 * Asks a definition what a sample is about, several times, as the callers and the workers of one
 * update do: in other processes, later, and after the input has travelled.
 */
export async function checkIdentity(
  definition: AnyCrossStoreUpdate,
  { sample, identity: first }: Identified,
): Promise<Finding[]> {
  const askings: readonly (readonly [string, () => Promise<Identity>])[] = [
    ['asked again', () => identityOf(definition, sample.input)],
    [
      'after a round trip through JSON',
      () => identityOf(definition, JSON.parse(JSON.stringify(sample.input))),
    ],
    [
      'with the keys of the input in another order',
      () => identityOf(definition, withKeysTurned(sample.input)),
    ],
    [LATER, () => identityLater(definition, sample.input)],
  ];
  for (const [how, ask] of askings) {
    const differences = await ask().then((second) => compare(first, second, how), passRefusal);
    if (differences.length > 0) return [finding('UnstableIdentity', sample.name, differences)];
  }
  return [];
}

/** Later, or with its keys turned, a schema may rightly refuse what it has let in. */
function passRefusal(error: unknown): string[] {
  if (isTwinwriteError(error, 'InvalidInput')) return [];
  throw error;
}

/** The callbacks are synchronous, and most schemas are: nothing else meets the moved clock. */
async function identityLater(definition: AnyCrossStoreUpdate, input: Json): Promise<Identity> {
  const { data: parsed } = await withLaterClock(() => safeParse(definition, input));
  if (parsed === undefined) return await identityOf(definition, input);
  return withLaterClock(() => identityOfParsed(definition, parsed));
}

async function safeParse({ input: schema }: AnyCrossStoreUpdate, input: Json) {
  return (await schema.safeParseAsync(input)) as { readonly data?: unknown };
}

function compare(first: Identity, second: Identity, how: string): string[] {
  const parts = ['token', 'entities', 'documents'] as const;
  return parts.flatMap((part) => {
    const [one, other] = [JSON.stringify(first[part]), JSON.stringify(second[part])];
    return one === other ? [] : [`${part}: ${one} at first, ${other} ${how}`];
  });
}

function withKeysTurned(value: Json): Json {
  if (Array.isArray(value)) return value.map(withKeysTurned);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).toReversed();
  return Object.fromEntries(
    members.map(([key, item]) => [key, item === undefined ? item : withKeysTurned(item)]),
  );
}

/** Two samples that are not the same input and have the same token. */
export function checkTokens(identified: readonly Identified[]): Finding[] {
  return identified.flatMap(({ sample, identity }, index) => {
    const twin = identified
      .slice(0, index)
      .find(
        (other) =>
          other.identity.token === identity.token &&
          JSON.stringify(other.sample.input) !== JSON.stringify(sample.input),
      );
    if (twin === undefined) return [];
    const seen = `both have the token ${JSON.stringify(identity.token)}`;
    return [finding('SharedToken', `${twin.sample.name} and ${sample.name}`, [seen])];
  });
}

/** Whether neither of two updates has to wait for the other. */
export function areApart(one: Identity, other: Identity): boolean {
  const keys = ({ entities, documents }: Identity) => [...entities, ...documents];
  const own = new Set(keys(one));
  return !keys(other).some((key) => own.has(key));
}
