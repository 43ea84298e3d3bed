import type { Adoption, AdoptionEnd } from '../../activities/adoption';

/** A document that is adopted as it was needs no line: the last line counts it. */
export function lineOf({
  id,
  end,
  changes = [],
  removes = [],
  reason,
}: Adoption): string | undefined {
  const differences = [
    ...(changes.length === 0 ? [] : [`differs in ${listOf(changes)}`]),
    ...(removes.length === 0 ? [] : [`has more: ${listOf(removes)}`]),
  ].join(', ');
  const isPlain = end === 'adopted' || end === 'adoptable';
  if (isPlain && differences === '') return undefined;
  const parts = [differences, MEANINGS[end], reason ?? ''].filter((part) => part !== '');
  return `${JSON.stringify(id)}: ${parts.join('; ')}`;
}

/** What was in the documents may have been written by anybody: nothing of it reaches a terminal raw. */
function listOf(fields: readonly string[]): string {
  return fields.map((field) => (/^[\w-]+$/.test(field) ? field : JSON.stringify(field))).join(', ');
}

const MEANINGS: Readonly<Record<AdoptionEnd, string>> = {
  adopted: 'adopted',
  adoptable: "would get PostgreSQL's image",
  unknown: 'unknown to PostgreSQL, left alone',
  refused: 'left alone',
  overtaken: 'somebody else was faster',
};

/** Counts how the documents ended. */
export class AdoptionTally {
  readonly #counts: Record<AdoptionEnd, number> = {
    adopted: 0,
    adoptable: 0,
    unknown: 0,
    refused: 0,
    overtaken: 0,
  };
  #differing = 0;

  constructor(
    private readonly collection: string,
    private readonly isDryRun: boolean,
  ) {}

  add({ end, changes = [], removes = [] }: Adoption): void {
    this.#counts[end] += 1;
    const isTaken = end === 'adopted' || end === 'adoptable';
    if (isTaken && changes.length + removes.length > 0) this.#differing += 1;
  }

  /** What running the command once, without anything mended, does not adopt. */
  get left(): number {
    const { unknown, refused } = this.#counts;
    return unknown + refused;
  }

  get document() {
    const documents = Object.values(this.#counts).reduce((sum, count) => sum + count, 0);
    const { collection, isDryRun } = this;
    return { collection, isDryRun, documents, ...this.#counts, differing: this.#differing };
  }

  get sentence(): string {
    const { adopted, adoptable, unknown, refused, overtaken } = this.#counts;
    const taken = this.isDryRun ? `would adopt: ${adoptable}` : `adopted: ${adopted}`;
    return `${this.collection}: ${taken} (differing: ${this.#differing}) unknown: ${unknown} refused: ${refused} overtaken: ${overtaken}`;
  }
}
