import cliProgress from 'cli-progress';
import { type ServerName, TITLE } from './errors';
import type { StackEvent, StackProgress } from './events';

/** Without a terminal, a phase that takes long says so at most this often, or at each tenth. */
const LINE_INTERVAL_MILLIS = 10_000;

export interface RenderedStream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/**
 * Makes a listener that shows the progress of `startStack`: bars on a terminal, plain lines
 * elsewhere, and each server's address as soon as it answers. Call `stop` at the end, in any case.
 */
export function renderProgress(stream: NodeJS.WriteStream | RenderedStream): {
  progress: StackProgress;
  stop: () => void;
} {
  return stream.isTTY === true ? withBars(stream as NodeJS.WriteStream) : withLines(stream);
}

type Moving = Extract<StackEvent, { phase: 'downloading' | 'building' }>;

function withBars(stream: NodeJS.WriteStream): { progress: StackProgress; stop: () => void } {
  const bars = new cliProgress.MultiBar(
    {
      stream,
      hideCursor: true,
      format: '  {title} {bar} {amount}',
      barsize: 24,
      clearOnComplete: true,
    },
    cliProgress.Presets.shades_classic,
  );
  const shown = new Map<ServerName, { key: string; bar: cliProgress.SingleBar }>();
  const hide = (server: ServerName): void => {
    const bar = shown.get(server)?.bar;
    if (bar !== undefined) bars.remove(bar);
    shown.delete(server);
  };
  const progress: StackProgress = (event) => {
    if (event.phase !== 'downloading' && event.phase !== 'building') {
      hide(event.server);
      const line = lineOf(event);
      // With no bar on the screen, the bars' own log would hold the line back.
      if (line === undefined) return;
      if (shown.size === 0) stream.write(`${line}\n`);
      else bars.log(`${line}\n`);
      return;
    }
    const key = `${event.phase} ${event.source}`;
    if (shown.get(event.server)?.key !== key) {
      hide(event.server);
      const bar = bars.create(event.total ?? 1, 0, payloadOf(event));
      shown.set(event.server, { key, bar });
    }
    const bar = shown.get(event.server)?.bar;
    if (event.total !== undefined) bar?.setTotal(event.total);
    bar?.update(event.total === undefined ? 0 : event.done, payloadOf(event));
  };
  return { progress, stop: () => bars.stop() };
}

function payloadOf(event: Moving): { title: string; amount: string } {
  const title = `${TITLE[event.server]}: ${event.phase} ${event.source}`;
  return { title: title.slice(0, 70).padEnd(40), amount: amountOf(event) };
}

function withLines(stream: RenderedStream): { progress: StackProgress; stop: () => void } {
  const last = new Map<ServerName, { key: string; atMillis: number; tenth: number }>();
  const progress: StackProgress = (event) => {
    if (event.phase !== 'downloading' && event.phase !== 'building') {
      const line = lineOf(event);
      if (line !== undefined) stream.write(`${line}\n`);
      return;
    }
    const key = `${event.phase} ${event.source}`;
    const tenth = event.total === undefined ? 0 : Math.floor((10 * event.done) / event.total);
    const before = last.get(event.server);
    const isNew = before?.key !== key;
    const isLate = before !== undefined && Date.now() - before.atMillis >= LINE_INTERVAL_MILLIS;
    if (!isNew && !isLate && tenth <= before.tenth) return;
    last.set(event.server, { key, atMillis: Date.now(), tenth });
    stream.write(
      `${TITLE[event.server]}: ${event.phase} ${event.source} ${amountOf(event)}\n`.replace(
        / +\n/,
        '\n',
      ),
    );
  };
  return { progress, stop: () => undefined };
}

function amountOf(event: Moving): string {
  if (event.phase === 'building') {
    return `${event.done} of about ${event.total} packages (once, some minutes)`;
  }
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0);
  if (event.total !== undefined) return `${megabytes(event.done)} of ${megabytes(event.total)} MB`;
  return event.done === 0 ? '' : `${megabytes(event.done)} MB`;
}

function lineOf(event: Exclude<StackEvent, Moving>): string | undefined {
  const title = TITLE[event.server];
  switch (event.phase) {
    case 'looking':
      return undefined;
    case 'skipped':
      return `${title}: ${event.source} did not work (${event.reason}); trying the next source`;
    case 'waiting':
      return `${title}: process ${event.processId} is fetching it already; waiting for that`;
    case 'starting':
      return `${title} ${event.version}: starting`;
    case 'ready': {
      const web = event.webUrl === undefined ? '' : `, Web UI ${event.webUrl}`;
      return `${title} ${event.version} (${event.source}): ${event.url}${web}`;
    }
  }
}
