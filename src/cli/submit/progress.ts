import cliProgress from 'cli-progress';
import { LINE_ENDS, type Tally } from './tally';

/** How often plain lines are written where there is no terminal. */
const LINE_INTERVAL_MILLIS = 5_000;

/** Shows how far the file is. */
export interface SubmitProgress {
  /** Bytes that were read, of the total if that is known. */
  update(bytes: number): void;
  /** A line of text, above the bar where there is one. */
  note(text: string): void;
  stop(): void;
}

/** A bar on a terminal, a plain line every few seconds elsewhere. Written to standard error. */
export function showProgress(tally: Tally, totalBytes: number | undefined): SubmitProgress {
  return process.stderr.isTTY && totalBytes !== undefined
    ? withBar(tally, totalBytes)
    : withLines(tally, totalBytes);
}

function withBar(tally: Tally, totalBytes: number): SubmitProgress {
  const bars = new cliProgress.MultiBar(
    {
      stream: process.stderr,
      format: '  {bar} {percentage} %  {counts}',
      barsize: 30,
      hideCursor: true,
    },
    cliProgress.Presets.shades_classic,
  );
  const bar = bars.create(totalBytes, 0, { counts: '' });
  return {
    update: (bytes) => bar.update(bytes, { counts: countsOf(tally) }),
    note: (text) => bars.log(`${text}\n`),
    stop: () => bars.stop(),
  };
}

function withLines(tally: Tally, totalBytes: number | undefined): SubmitProgress {
  let shownAtMillis = Date.now();
  return {
    update: (bytes) => {
      if (Date.now() - shownAtMillis < LINE_INTERVAL_MILLIS) return;
      shownAtMillis = Date.now();
      const share =
        totalBytes === undefined || totalBytes === 0
          ? ''
          : `${Math.floor((100 * bytes) / totalBytes)} % read, `;
      process.stderr.write(`${share}${countsOf(tally)}\n`);
    },
    note: (text) => void process.stderr.write(`${text}\n`),
    stop: () => undefined,
  };
}

function countsOf(tally: Tally): string {
  const counts = LINE_ENDS.filter((end) => tally.counts[end] > 0);
  if (counts.length === 0) return 'nothing settled yet';
  return counts.map((end) => `${tally.counts[end]} ${end}`).join(', ');
}
