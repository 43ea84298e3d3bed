import type { OutcomeStatus } from '../../domain/outcome';

/** How a line ended. */
export type LineEnd = OutcomeStatus | 'invalid' | 'failed';

export const LINE_ENDS: readonly LineEnd[] = [
  'applied',
  'compensated',
  'refused',
  'invalid',
  'failed',
];

/** Counts how the lines ended. */
export class Tally {
  readonly counts: Record<LineEnd, number> = {
    applied: 0,
    compensated: 0,
    refused: 0,
    invalid: 0,
    failed: 0,
  };

  add(end: LineEnd): void {
    this.counts[end] += 1;
  }

  get lines(): number {
    return LINE_ENDS.reduce((sum, end) => sum + this.counts[end], 0);
  }

  /** Whether running the command again, or mending the file, has something left to do. */
  get isComplete(): boolean {
    return this.counts.invalid === 0 && this.counts.failed === 0;
  }
}
