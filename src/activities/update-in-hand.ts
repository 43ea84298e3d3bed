import type { AnyCrossStoreUpdate } from '../domain/definition';
import { isTwinwriteError, TwinwriteError } from '../domain/errors';
import { fingerprintOf } from '../domain/fingerprint';
import { parseInput } from '../domain/parse-input';
import { type DocumentReference, entityKeyOf } from '../domain/projection';
import { findTokenProblem } from '../domain/token';
import type { CrossStoreUpdateRequest } from '../domain/update-request';
import type { LedgerKey } from './ledger-key';
import type { ClaimedPlan } from './postgres/ledger';

const MAX_KEYS = 200;
const MAX_KEY_CHARACTERS = 600;

/**
 * One request, met by the definition that this worker has for it. What comes from the wire is
 * checked here again: whoever may start workflows may start ours with anything (clause 2).
 */
export class UpdateInHand {
  readonly key: LedgerKey;
  readonly timeoutMillis: number;
  #parsed: Promise<unknown> | undefined;

  constructor(
    readonly definition: AnyCrossStoreUpdate,
    private readonly request: CrossStoreUpdateRequest,
    private readonly workflow: string,
  ) {
    const { token, input } = request;
    const problem = findTokenProblem(token);
    if (problem !== undefined) {
      const issues = [{ path: 'token', reason: problem }];
      throw new TwinwriteError('InvalidInput', { definition: definition.name, issues });
    }
    this.key = { definition: definition.name, token, fingerprint: fingerprintOf(input ?? null) };
    this.timeoutMillis = definition.legTimeoutMillis;
  }

  /** The input as the schema makes it: parsed once an attempt. */
  input(): Promise<unknown> {
    this.#parsed ??= parseInput(this.definition, this.request.input, this.request.token);
    return this.#parsed;
  }

  async findInvalidInput(): Promise<Error | undefined> {
    try {
      await this.input();
      return undefined;
    } catch (error) {
      if (isTwinwriteError(error, 'InvalidInput')) return error;
      throw error;
    }
  }

  /** What the claim records. */
  async plan(): Promise<ClaimedPlan> {
    const { definition, workflow } = this;
    const references = await this.#references();
    return {
      workflow,
      form: definition.form,
      undoable: definition.undoable,
      entities: this.#keys('entities', definition.entities?.(await this.input()) ?? []),
      documents: this.#keys('documents', references.map(entityKeyOf)),
      input: this.request.input,
    };
  }

  /** The projected documents behind recorded keys. */
  async documents(keys: readonly string[]): Promise<DocumentReference[]> {
    const references = await this.#references();
    return keys.map((key) => {
      const reference = references.find((candidate) => entityKeyOf(candidate) === key);
      if (reference !== undefined) return reference;
      throw new TwinwriteError('InvalidDefinition', {
        definition: this.definition.name,
        problem: `it was claimed with the document ${key}, which this build does not project; deploy one that does.`,
      });
    });
  }

  /** One order for everybody, so that two updates never wait for each other's entities (F44). */
  #keys(what: string, keys: readonly string[]): string[] {
    const unique = [...new Set(keys)].sort();
    const isGood = (key: unknown) =>
      typeof key === 'string' && key !== '' && key.length <= MAX_KEY_CHARACTERS;
    if (unique.length <= MAX_KEYS && unique.every(isGood)) return unique;
    throw new TwinwriteError('InvalidDefinition', {
      definition: this.definition.name,
      problem: `its ${what} are at most ${MAX_KEYS} strings of 1 to ${MAX_KEY_CHARACTERS} characters.`,
    });
  }

  async #references(): Promise<readonly DocumentReference[]> {
    return this.definition.mongo.project?.(await this.input()) ?? [];
  }
}
