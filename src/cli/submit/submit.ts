import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Twinwrite } from '../../client';
import { reasonOf } from '../../stack/reasons';
import type { SubmitCommandOptions } from '../commands/submit';
import { EXIT, UsageError } from '../failure';
import { findDefinition, loadConfig } from '../load-config';
import { taskQueueOf } from '../options';
import { createOutput, tableOf } from '../output';
import { connectToTemporal } from '../temporal';
import { readJsonLines } from './json-lines';
import { type SubmitProgress, showProgress } from './progress';
import { type LineReport, submitLines } from './submit-lines';
import { LINE_ENDS, Tally } from './tally';

/** Submits every line of a file and tells what became of them. */
export async function submit(name: string, options: SubmitCommandOptions): Promise<void> {
  const { file } = options;
  // Checked here and not by commander, which would say it of a misspelled option as well.
  if (file === undefined)
    throw new UsageError('Name the inputs with --file FILE, or --file - for standard input.');
  const output = createOutput(options);
  const config = await loadConfig(options.config);
  const definition = findDefinition(config, name, options.config);
  const source = await openSource(file);
  const twinwrite = await connectToTemporal(taskQueueOf(options, config));
  const tally = new Tally();
  const progress = showProgress(tally, source.bytes);
  const startedAt = performance.now();
  const finish = (isFinished: boolean): void => {
    progress.stop();
    const seconds = (performance.now() - startedAt) / 1_000;
    const document = { summary: { lines: tally.lines, ...tally.counts, isFinished } };
    if (output.isJson) output.jsonLine(document);
    else output.result(document, summaryText(tally, seconds));
    if (!isFinished || !tally.isComplete) process.exitCode = EXIT.failed;
  };
  const interrupt = (): void => {
    progress.note(
      'Interrupted. What was submitted goes on; run the command again for the outcomes.',
    );
    finish(false);
    process.exit(130);
  };
  process.once('SIGINT', interrupt);
  try {
    await warnWithoutWorker(twinwrite, progress);
    const { concurrency, timeoutMillis } = options;
    const report = (line: LineReport): void => {
      tally.add(line.end);
      output.jsonLine(line);
      if (line.error !== undefined) progress.note(problemText(file, line));
      progress.update(source.bytesRead());
    };
    const lines = readJsonLines(source.chunks);
    const settings = { twinwrite, definition, concurrency, timeoutMillis, report };
    const { isFinished } = await submitLines(lines, settings);
    if (!isFinished) progress.note(GAVE_UP);
    finish(isFinished);
  } finally {
    progress.stop();
    process.off('SIGINT', interrupt);
    await twinwrite.close();
  }
}

const GAVE_UP =
  'Temporal stays away, so the rest of the file was not submitted. Run the command again: lines that are through answer their recorded outcome.';

interface Source {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Nothing for a pipe. */
  readonly bytes: number | undefined;
  bytesRead(): number;
}

async function openSource(file: string): Promise<Source> {
  if (file === '-') return { chunks: process.stdin, bytes: undefined, bytesRead: () => 0 };
  const { size } = await stat(file).then(
    (found) => {
      if (found.isDirectory())
        throw new UsageError(`${file} is a folder; name a file of JSON lines.`);
      return found;
    },
    (error: unknown) => {
      throw new UsageError(
        `${file} cannot be read (${reasonOf(error)}); name a file of JSON lines.`,
      );
    },
  );
  const stream = createReadStream(file);
  return { chunks: stream, bytes: size, bytesRead: () => stream.bytesRead };
}

/** An update without a worker waits for ever, which looks like a command that hangs. */
async function warnWithoutWorker(twinwrite: Twinwrite, progress: SubmitProgress): Promise<void> {
  const { client, taskQueue } = twinwrite;
  const description = await client.connection.workflowService
    .describeTaskQueue({
      namespace: client.options.namespace,
      taskQueue: { name: taskQueue },
    })
    // Without the right to ask there is no warning; the updates are submitted all the same.
    .catch(() => undefined);
  if (description === undefined || (description.pollers?.length ?? 0) > 0) return;
  progress.note(
    `No worker polls the task queue "${taskQueue}": the updates wait until one does (twinwrite worker --task-queue ${taskQueue}).`,
  );
}

function problemText(file: string, { line, end, error }: LineReport): string {
  const place = file === '-' ? `line ${line}` : `${file}:${line}`;
  return `${place}: ${end}: ${error?.message ?? ''}`;
}

function summaryText(tally: Tally, seconds: number): string {
  const rows = LINE_ENDS.map((end) => [end, String(tally.counts[end])]);
  const rate = seconds > 0 ? Math.round(tally.lines / seconds) : 0;
  return [
    tableOf(['Outcome', 'Lines'], rows),
    `${tally.lines} lines in ${seconds.toFixed(1)} s (${rate}/s)`,
  ].join('\n');
}
