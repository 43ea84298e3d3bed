/**
 * Goal: a free update holds nothing, and writes to MongoDB what Postgres has by then: also where
 * that is the work of another update (clause 7). Method: two updates of one line, brought together
 * by what the first one's image shows.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '../support/eventually';
import type { RunningWorker } from '../support/world';
import { type Attempt, recordAttempts } from './attempts';
import { Gates } from './gates';
import { defineLines, type Hooks } from './lines';
import { LinesWorld, UNWELCOME } from './lines-world';

const TOO_EARLY = 'too early for the test';

describe('a free update', () => {
  const gates = new Gates();
  const hooks: Hooks = { ...gates.hooks };
  const { freeProjection, projection } = defineLines({ hooks });
  const { logger, attempts } = recordAttempts();
  let lines: LinesWorld;
  let worker: RunningWorker;

  beforeAll(async () => {
    lines = await LinesWorld.open();
    worker = await lines.world.startWorker({
      updates: [freeProjection, projection],
      postgres: lines.pool,
      logger,
    });
  });

  afterAll(async () => {
    gates.openAll();
    await worker.stop();
    await lines.close();
  });

  test('clause 7, F2: waits for a holder whose work in its image MongoDB refuses', async () => {
    const line = await lines.openLine();
    const [free, unwelcome] = [randomUUID(), `${UNWELCOME}-${randomUUID()}`];
    const gate = gates.close('undo', unwelcome);
    let reads = 0;
    hooks.image = (shown, tokens) => {
      if (shown !== line || tokens.length > 1 || gate.isReached()) return;
      reads += 1;
      // The first is of the Postgres leg. The Mongo leg gets none without the holder's work in it.
      if (reads > 1) throw new Error(TOO_EARLY);
    };
    const handle = await lines.world.twinwrite.submit(freeProjection, { id: free, lines: [line] });
    await lines.reached(free, 'forward');
    const visit = { id: unwelcome, lines: [line] };
    const holder = await lines.world.twinwrite.submit(projection, visit);
    await gate.reached();
    const isRefused = ({ token, err }: Attempt) =>
      token === free && err !== undefined && err.message !== TOO_EARLY;
    await eventually(() => attempts.some(isRefused) || undefined, 'the free update is refused');
    gate.open();
    expect(await holder.outcome()).toMatchObject({ status: 'compensated' });
    expect(await handle.outcome()).toMatchObject({ status: 'applied' });
    const answers = attempts.filter(({ token }) => token === free).map(({ answer }) => answer);
    expect(answers).not.toContain('parked');
    expect(await lines.listsOf(line, 'projection')).toEqual({ postgres: [free], mongo: [free] });
  });

  test('clause 7, F7: writes its image with the version that it was read with', async () => {
    const line = await lines.openLine();
    const [older, newer] = [randomUUID(), randomUUID()];
    const submit = async (id: string) =>
      await lines.world.twinwrite.submit(freeProjection, { id, lines: [line] });
    let isOlderWritten = false;
    let reads = 0;
    let newerReads = 0;
    hooks.image = async (shown, tokens) => {
      if (shown !== line) return;
      if (tokens.length === 1) {
        reads += 1;
        if (reads !== 2) return;
        // In the Mongo leg, between this image and its write, there is a later version.
        await submit(newer);
        await lines.reached(newer, 'forward');
        return;
      }
      newerReads += 1;
      // It goes second, unless the older one had to begin again.
      if (newerReads > 1 && newerReads < 5 && !isOlderWritten) throw new Error(TOO_EARLY);
    };
    expect(await (await submit(older)).outcome()).toMatchObject({ status: 'applied' });
    isOlderWritten = true;
    expect(await (await submit(newer)).outcome()).toMatchObject({ status: 'applied' });
    const order = [older, newer];
    expect(await lines.listsOf(line, 'projection')).toEqual({ postgres: order, mongo: order });
  });
});
