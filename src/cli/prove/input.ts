import { readFileSync } from 'node:fs';
import type { RecordedClaim } from '../../activities/proof';
import { fingerprintOf } from '../../domain/fingerprint';
import { inspectJson, type Json } from '../../domain/json';
import { reasonOf } from '../../stack/reasons';
import { UsageError } from '../failure';

/** @throws UsageError */
export function readInputFile(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new UsageError(
      `The input cannot be read from ${file} (${reasonOf(error)}); give a file with the one input of the update, as JSON.`,
      { cause: error },
    );
  }
}

interface Candidates {
  readonly name: string;
  readonly token: string;
  readonly claim: RecordedClaim | undefined;
  /** From the command line. */
  readonly given: unknown;
  readonly fromTemporal: unknown;
}

/**
 * The update's input, from whoever has the one that its claim was made with. A run that was refused
 * as a reused token had another.
 *
 * @throws UsageError when the one that was given is another update's.
 */
export function findInput(candidates: Candidates): Json | undefined {
  const { name, token, claim, given, fromTemporal } = candidates;
  if (claim === undefined) return undefined;
  const isRight = (input: unknown) => isInputOf(claim, input);
  if (given !== undefined && !isRight(given)) {
    throw new UsageError(
      `The input that --input gives is not the one that ${name} ${token} was submitted with; give exactly what the caller gave.`,
    );
  }
  const recorded: unknown = claim.input === null ? undefined : JSON.parse(claim.input);
  return [recorded, given, fromTemporal].find(isRight) as Json | undefined;
}

function isInputOf({ fingerprint }: RecordedClaim, input: unknown): boolean {
  if (input === undefined) return false;
  const { json, issues } = inspectJson(input);
  return issues.length === 0 && fingerprintOf(json) === fingerprint;
}
