import cliProgress from 'cli-progress';
import type { CollectProgress } from '../../collector/collect';

/** How often plain lines are written where there is no terminal. */
const LINE_INTERVAL_MILLIS = 5_000;

export interface CollectorProgress {
  update(progress: CollectProgress): void;
  stop(): void;
}

/** A bar on a terminal, a plain line every few seconds elsewhere. Written to standard error. */
export function showProgress(): CollectorProgress {
  return process.stderr.isTTY ? withBar() : withLines();
}

function withBar(): CollectorProgress {
  const bar = new cliProgress.SingleBar(
    {
      stream: process.stderr,
      format: '  {bar} {percentage} % of the ledger  {counts}',
      barsize: 30,
      hideCursor: true,
    },
    cliProgress.Presets.shades_classic,
  );
  bar.start(1, 0, { counts: '' });
  return {
    update: (progress) => bar.update(progress.share, { counts: countsOf(progress) }),
    stop: () => bar.stop(),
  };
}

function withLines(): CollectorProgress {
  let shownAtMillis = Date.now();
  return {
    update: (progress) => {
      if (Date.now() - shownAtMillis < LINE_INTERVAL_MILLIS) return;
      shownAtMillis = Date.now();
      const percent = Math.floor(100 * progress.share);
      process.stderr.write(`${percent} % of the ledger, ${countsOf(progress)}\n`);
    },
    stop: () => undefined,
  };
}

function countsOf({ collection: { collected, kept } }: CollectProgress): string {
  const { unsettled, retained, young } = kept;
  return `${collected} collected, ${unsettled + retained + young} kept`;
}
