import type { z } from 'zod';
import type { AnyCrossStoreUpdate } from './definition';
import { describeIssues, isTwinwriteError, TwinwriteError } from './errors';
import type { Json } from './json';
import { parseInput } from './parse-input';

/**
 * What the callbacks get for an update that was let in before, by the schema of another build
 * perhaps. A schema that a deploy has tightened refuses nothing in flight: where it merely checks
 * values that it would hand on as they are, they are handed on.
 *
 * Where it would make something else of the input, or asks for another type, nobody can say what
 * the callbacks of this build would do: the update waits for a build whose schema takes the input.
 *
 * @throws TwinwriteError `InvalidDefinition`
 */
export async function inputInFlight(
  definition: AnyCrossStoreUpdate,
  input: Json,
): Promise<unknown> {
  try {
    return await parseInput(definition, input);
  } catch (error) {
    if (!isTwinwriteError(error, 'InvalidInput')) throw error;
    if (await isOnlyChecked(definition.input, input)) return input;
    throw new TwinwriteError('InvalidDefinition', {
      definition: definition.name,
      problem: `its schema refuses an update that is in flight (${describeIssues(error.fields.issues)}); deploy one that takes it.`,
    });
  }
}

/** The codes with which a schema refuses a value that has the right type. */
const CHECKS: ReadonlySet<string> = new Set([
  'too_big',
  'too_small',
  'invalid_format',
  'not_multiple_of',
  'unrecognized_keys',
  'custom',
]);

async function isOnlyChecked(schema: z.ZodType, input: Json): Promise<boolean> {
  const { error } = await schema.safeParseAsync(input);
  const isOfItsType = error?.issues.every(({ code }) => CHECKS.has(code)) ?? true;
  return isOfItsType && handsOn(schema, input);
}

/** The parts of a zod schema's definition that are looked at here. */
interface SchemaParts {
  readonly type: string;
  readonly coerce?: boolean;
  readonly checks?: readonly { readonly _zod: { readonly def: { readonly check: string } } }[];
  readonly innerType: z.ZodType;
  readonly element: z.ZodType;
  readonly keyType: z.ZodType;
  readonly valueType: z.ZodType;
  readonly shape: Readonly<Record<string, z.ZodType>>;
  readonly catchall?: z.ZodType;
  readonly options: readonly z.ZodType[];
}

/** Whether a schema makes nothing else of the value. In doubt it does: zod will have new kinds. */
function handsOn(schema: z.ZodType, value: unknown): boolean {
  const parts = schema._zod.def as unknown as SchemaParts;
  const changes = parts.checks?.some(({ _zod }) => _zod.def.check === 'overwrite') ?? false;
  if (changes || parts.coerce === true) return false;
  switch (parts.type) {
    case 'string':
    case 'number':
    case 'boolean':
    case 'null':
    case 'literal':
    case 'enum':
    case 'any':
    case 'unknown':
      return true;
    case 'optional':
    case 'nullable':
    case 'readonly':
      return value === undefined || value === null || handsOn(parts.innerType, value);
    case 'array':
      return itemsOf(value).every((item) => handsOn(parts.element, item));
    case 'record':
      return Object.entries(value ?? {}).every(
        ([key, item]) => handsOn(parts.keyType, key) && handsOn(parts.valueType, item),
      );
    case 'union':
      return parts.options.every((option) => handsOn(option, value));
    case 'object':
      return handsOnObject(parts, value);
    default:
      return false;
  }
}

function handsOnObject({ shape, catchall }: SchemaParts, value: unknown): boolean {
  const members = Object.entries(value ?? {});
  // Without a catchall, what the schema does not know would be left out.
  const isWhole = catchall !== undefined || members.every(([key]) => Object.hasOwn(shape, key));
  const known = Object.entries(shape);
  const item = (key: string) => members.find(([name]) => name === key)?.[1];
  return isWhole && known.every(([key, schema]) => handsOn(schema, item(key)));
}

function itemsOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
