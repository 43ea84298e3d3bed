import {
  type ServerStatus,
  type StackDescription,
  stackDown,
  stackStatus,
  stackUp,
} from '../../stack/background';
import { TITLE } from '../../stack/errors';
import { withoutPassword } from '../../stack/reasons';
import { renderProgress } from '../../stack/render-progress';
import { EXIT } from '../failure';
import { createOutput, type OutputOptions, tableOf } from '../output';

export async function up(options: OutputOptions): Promise<void> {
  const output = createOutput(options);
  const rendered = renderProgress(process.stderr);
  try {
    const { stack, wasUp } = await stackUp({
      progress: rendered.progress,
      onWait: tellWait(output),
    });
    rendered.stop();
    // A fresh start has told them one by one.
    if (wasUp) output.note(`The servers were up already.\n${addressesOf(stack)}`);
    output.note(`Data and logs: ${stack.folder}\nCopy these lines into your shell:`);
    output.result({ wasUp, environment: environmentOf(stack), stack }, exportLinesOf(stack));
  } finally {
    rendered.stop();
  }
}

export async function down(options: OutputOptions): Promise<void> {
  const output = createOutput(options);
  const result = await stackDown({ onWait: tellWait(output) });
  output.result(
    result,
    result.wasUp
      ? 'The servers that were started are stopped, and their data is removed.'
      : 'Nothing was up.',
  );
}

export async function status(options: OutputOptions): Promise<void> {
  const output = createOutput(options);
  const found = await stackStatus();
  const areFine = found.isUp && found.servers.every(({ answers }) => answers);
  const text = found.isUp
    ? statusTable(found.servers)
    : 'Nothing is up; start it with: twinwrite stack up';
  output.result(found, text);
  if (!areFine) process.exitCode = EXIT.failed;
}

function tellWait(output: { note(text: string): void }) {
  return (processId: number) =>
    output.note(`Process ${processId} is starting or stopping the servers; waiting for it.`);
}

/** What the product reads, so that its commands talk to this stack. */
function environmentOf({ postgres, mongo, temporal }: StackDescription): Record<string, string> {
  return {
    DATABASE_URL: postgres.url,
    MONGODB_URI: mongo.uri,
    TEMPORAL_ADDRESS: temporal.address,
    ...(temporal.webUrl === undefined ? {} : { TWINWRITE_WEB_UI: temporal.webUrl }),
  };
}

function exportLinesOf(stack: StackDescription): string {
  return Object.entries(environmentOf(stack))
    .map(([name, value]) => `export ${name}='${value.replaceAll("'", `'\\''`)}'`)
    .join('\n');
}

function addressesOf({ postgres, mongo, temporal }: StackDescription): string {
  return [
    `PostgreSQL ${postgres.version}  ${withoutPassword(postgres.url)}`,
    `MongoDB ${mongo.version}  ${withoutPassword(mongo.uri)}`,
    `Temporal ${temporal.version}  ${temporal.address}`,
    ...(temporal.webUrl === undefined ? [] : [`Temporal Web UI  ${temporal.webUrl}`]),
  ].join('\n');
}

function statusTable(servers: readonly ServerStatus[]): string {
  const rows = servers.map(({ server, version, url, webUrl, answers, reason }) => [
    TITLE[server],
    version,
    answers ? 'answers' : `does not answer${reason === undefined ? '' : `: ${reason}`}`,
    webUrl === undefined ? withoutPassword(url) : `${url}\nWeb UI ${webUrl}`,
  ]);
  return tableOf(['Server', 'Version', 'State', 'Address'], rows);
}
