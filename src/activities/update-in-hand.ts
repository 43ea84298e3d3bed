import type { AnyCrossStoreUpdate } from '../domain/definition';
import { isTwinwriteError, TwinwriteError } from '../domain/errors';
import { assertProjected } from '../domain/expectation';
import { fingerprintOf } from '../domain/fingerprint';
import { inputInFlight } from '../domain/input-in-flight';
import { invalidInput, parseInput, plainInput } from '../domain/parse-input';
import { type DocumentReference, entityKeyOf } from '../domain/projection';
import { findTokenProblem } from '../domain/token';
import { keysOf, referencesOf } from '../domain/update-keys';
import type { CrossStoreUpdateRequest, LedgerAnswer } from '../domain/update-request';
import { runCallback } from './callback-fault';
import type { LedgerKey } from './ledger-key';
import type { ClaimedPlan } from './postgres/ledger';

/**
 * One request, met by the definition that this worker has for it. What comes from the wire is
 * checked here again: whoever may start workflows may start ours with anything (clause 2).
 *
 * The schema judges before the claim, and only then. Afterwards it says what the callbacks get, and
 * where it refuses to, a deploy has changed it under an update in flight: that is a definition to
 * be mended, and no input.
 */
export class UpdateInHand {
  readonly key: LedgerKey;
  readonly timeoutMillis: number;
  #parsed: Promise<unknown> | undefined;
  #input: Promise<unknown> | undefined;

  constructor(
    readonly definition: AnyCrossStoreUpdate,
    private readonly request: CrossStoreUpdateRequest,
    /**
     * The workflow that drives it, and that is called when its turn comes. Without one it is driven
     * from what the ledger has of it, and never claimed anew.
     */
    private readonly workflow: string | undefined,
    attemptTimeoutMillis: number = definition.legTimeoutMillis,
  ) {
    const { token, input } = request;
    const problem = findTokenProblem(token);
    if (problem !== undefined) {
      throw invalidInput(definition.name, [{ path: 'token', reason: problem }]);
    }
    this.key = { definition: definition.name, token, fingerprint: fingerprintOf(input ?? null) };
    // The attempt's time is the one that its workflow was started with: a deploy may have given the
    // definition more, and the stores must end before Temporal gives up (clause 8).
    this.timeoutMillis = Math.min(definition.legTimeoutMillis, attemptTimeoutMillis);
  }

  /**
   * Why the update cannot be claimed, or nothing when it can: its input is refused, or the
   * definition of this build has a bug. A token that the ledger knows is answered whatever this
   * says.
   */
  async findInvalidInput(): Promise<Error | undefined> {
    const { definition, token } = this.key;
    if (this.workflow === undefined)
      return new TwinwriteError('UnknownUpdate', { definition, token });
    try {
      await this.plan();
      return undefined;
    } catch (error) {
      if (error instanceof Error) return error;
      throw error;
    }
  }

  /**
   * The claim recorded an undo and this build has none: an older build, or a mistake. It waits for
   * the right one.
   */
  withoutUndo(): TwinwriteError {
    return this.#mismatch(
      'it was claimed with an undo, and this build has none; deploy one that has it.',
    );
  }

  /** The same for all duplicates of one update, and for none with another input. */
  get identity(): string {
    const { definition, token, fingerprint } = this.key;
    return `${definition}/${token} ${fingerprint}`;
  }

  /** How the ledger knows the driver: it calls everybody else whom a change concerns. */
  get driver(): string {
    return this.workflow ?? '';
  }

  /**
   * Only the workflow that joined the queue is called when the turn comes. Another driver of the
   * same token tries again, with Temporal's backoff.
   */
  assertOwnTurn(answer: LedgerAnswer): void {
    if (answer.at !== 'waiting' || this.workflow === undefined) return;
    if (answer.workflow === this.workflow) return;
    throw new Error(`it waits for its turn in the workflow ${answer.workflow}`);
  }

  /** What the claim records. */
  async plan(): Promise<ClaimedPlan> {
    const { definition, driver: workflow, request } = this;
    const keys = await this.#ask(async () => keysOf(definition, await this.#admitted()));
    const { input, expect: expected } = request;
    if (expected !== undefined) assertProjected(definition.name, keys.documents, expected);
    const { form, undoable, legTimeoutMillis } = definition;
    return { workflow, form, undoable, ...keys, input, legTimeoutMillis, expected };
  }

  /** What the callbacks get: the input as the schema makes it, once it was let in. */
  input(): Promise<unknown> {
    this.#input ??= this.#admitted().catch((error: unknown) => {
      if (!isTwinwriteError(error, 'InvalidInput')) throw error;
      return this.#ask(() => inputInFlight(this.definition, this.request.input));
    });
    return this.#input;
  }

  /** The projected documents behind recorded keys. */
  async documents(keys: readonly string[]): Promise<DocumentReference[]> {
    const references = await this.#references();
    return keys.map((key) => {
      const reference = references.find((candidate) => entityKeyOf(candidate) === key);
      if (reference !== undefined) return reference;
      throw this.#mismatch(
        `it was claimed with the document ${key}, which this build does not project; deploy one that does.`,
      );
    });
  }

  async #references(): Promise<readonly DocumentReference[]> {
    const input = await this.input();
    try {
      return await this.#ask(async () => referencesOf(this.definition, input));
    } catch (error) {
      if (!isTwinwriteError(error, 'InvalidInput')) throw error;
      throw this.#mismatch('it projects a document that cannot be one, for an update in flight.');
    }
  }

  /** The judgement before the claim, made once an attempt. */
  #admitted(): Promise<unknown> {
    this.#parsed ??= this.#judge();
    return this.#parsed;
  }

  async #judge(): Promise<unknown> {
    const { token, input } = this.request;
    const plain = plainInput(this.definition, input, token);
    return await this.#ask(() => parseInput(this.definition, plain, token));
  }

  /** Asks a callback of the definition that gets nothing but the input: what it throws is a bug. */
  async #ask<Answer>(callback: () => Promise<Answer>): Promise<Answer> {
    return await runCallback(callback, isTwinwriteError);
  }

  #mismatch(problem: string): TwinwriteError {
    return new TwinwriteError('InvalidDefinition', { definition: this.definition.name, problem });
  }
}
