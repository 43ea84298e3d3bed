/**
 * Goal: `collect` tells what it did and what it kept, and may be interrupted or killed at any moment.
 * Method: the real command as a process of its own. A trigger of the test's own database holds its
 * deletion in PostgreSQL, which comes after the one in MongoDB: there it is signalled, or killed.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  fillLedgers,
  holdDeletions,
  makeOld,
  marksOf,
  prepareMarks,
  settleLongAgo,
  startRaw,
  transactionMark,
} from '../collector/marks';
import { eventually } from '../support/eventually';
import { openWorld, type RunningWorker, type World } from '../support/world';
import { environmentOf, runCli, startCli } from './run-cli';

describe('twinwrite collect', () => {
  let world: World;
  let worker: RunningWorker;
  const definition = transactionMark();

  beforeAll(async () => {
    world = await openWorld();
    await prepareMarks(world);
    worker = await world.startWorker({ updates: [definition] });
  });

  afterAll(async () => {
    await worker.stop();
    await world.close();
  });

  const collect = async (...args: string[]) =>
    await runCli(['collect', ...args], { env: environmentOf(world) });

  test('F29: killed between the stores, the token still answers its outcome, and the next run finishes', async () => {
    const mark = await settleLongAgo(world, definition);
    const deletions = await holdDeletions(world);
    const killed = startCli(['collect', '--older-than', '20d'], { env: environmentOf(world) });
    const closed = once(killed, 'close');
    await deletions.reached();
    killed.kill('SIGKILL');
    await closed;
    await deletions.release();
    const half = { postgres: 1, mongo: 1, ledger: 1, mongoLedger: 0 };
    expect(await marksOf(world, definition, mark.id)).toEqual(half);
    const outcome = await (await startRaw(world, definition, mark)).result();
    expect(outcome).toEqual({ status: 'applied', result: { marked: true } });
    expect(await marksOf(world, definition, mark.id)).toEqual(half);
    expect(await collect('--older-than', '20d')).toEqual({
      code: 0,
      stdout:
        'collected: 1 kept: 0 (not settled 0, known to Temporal 0, young in MongoDB 0) busy: 0\n',
      stderr: '',
    });
    const outcomeOfNew = await (await startRaw(world, definition, mark)).result();
    expect(outcomeOfNew).toEqual(outcome);
    const twice = { postgres: 2, mongo: 2, ledger: 1, mongoLedger: 1 };
    expect(await marksOf(world, definition, mark.id)).toEqual(twice);
  });

  test('Ctrl-C lets it finish its batch and tell the counts', async () => {
    await fillLedgers(world, 210);
    const deletions = await holdDeletions(world);
    const child = startCli(['collect', '--older-than', '20d', '--json'], {
      env: environmentOf(world),
    });
    let [stdout, stderr] = ['', ''];
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const closed = once(child, 'close');
    await deletions.reached();
    child.kill('SIGINT');
    await eventually(() => /^Interrupted: /m.test(stderr) || undefined, 'it hears the signal');
    await deletions.release();
    const [code] = (await closed) as [number];
    expect(code).toBe(130);
    expect(JSON.parse(stdout)).toEqual({
      isDryRun: false,
      collected: 200,
      kept: { unsettled: 0, retained: 0, young: 0 },
      busy: 0,
      isFinished: false,
    });
  });

  test('a dry run says what it would do, a limit how far it went, and what Temporal knows is kept', async () => {
    const id = randomUUID();
    await world.twinwrite.execute(definition, { id });
    await makeOld(world, [id]);
    const counts = (collected: number) =>
      `collected: ${collected} kept: 1 (not settled 0, known to Temporal 1, young in MongoDB 0) busy: 0\n`;
    expect(await collect('--older-than', '20d', '--dry-run')).toMatchObject({
      code: 0,
      stdout: `would be ${counts(10)}`,
    });
    expect(await collect('--older-than', '480h', '--limit', '4')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('The rest of the ledger was not looked at.'),
    });
    expect(await collect('--older-than', '20d')).toMatchObject({ code: 0, stdout: counts(6) });
  });

  test.each([
    [[], 'Say from which age on with --older-than, such as --older-than 400d.'],
    [['--older-than', '400'], 'It is a whole number of days or hours, such as 400d or 72h.'],
    [['--older-than', '1h'], '--older-than 1h is too low: Temporal retains the workflows of the'],
  ])('%j is answered with one sentence', async (args, sentence) => {
    const { code, stdout, stderr } = await collect(...args);
    expect(stderr).toContain(`twinwrite: `);
    expect(stderr).toContain(sentence);
    expect({ code, stdout, lines: stderr.trimEnd().split('\n').length }).toEqual({
      code: 2,
      stdout: '',
      lines: 1,
    });
  });

  test('a database without the ledger is told in one sentence', async () => {
    const env = { ...environmentOf(world), DATABASE_URL: world.addresses.postgresUrl };
    const { code, stdout, stderr } = await runCli(['collect', '--older-than', '20d'], { env });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^twinwrite: PostgreSQL cannot .*; run "twinwrite migrate"\.\n$/);
  });
});
