/**
 * Goal: `stack up`, `status` and `down` tell where the servers are, in words and as data. Method:
 * the real command, with a cache folder of its own, over the servers of this run as given ones:
 * starting them anew is what the tests of the stack do.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { stackAddresses } from '../support/stack-addresses';
import { runCli } from './run-cli';

describe('twinwrite stack', () => {
  const { postgresUrl, mongoUri, temporalAddress } = stackAddresses();
  let cache: string;
  let env: Record<string, string>;

  beforeAll(async () => {
    cache = await mkdtemp(join(tmpdir(), 'twinwrite-cli-'));
    env = {
      XDG_CACHE_HOME: cache,
      TWINWRITE_STACK_POSTGRES_URL: postgresUrl,
      TWINWRITE_STACK_MONGODB_URI: mongoUri,
      TWINWRITE_STACK_TEMPORAL_ADDRESS: temporalAddress,
    };
  });

  afterAll(async () => {
    await runCli(['stack', 'down'], { env });
    await rm(cache, { recursive: true });
  });

  test('up prints the lines to copy, also the second time; status and down tell what is', async () => {
    const nothing = await runCli(['stack', 'status'], { env });
    expect(nothing).toMatchObject({
      code: 1,
      stdout: 'Nothing is up; start it with: twinwrite stack up\n',
    });
    const lines = [
      `export DATABASE_URL='${postgresUrl}'`,
      `export MONGODB_URI='${mongoUri}'`,
      `export TEMPORAL_ADDRESS='${temporalAddress}'`,
    ];
    const up = await runCli(['stack', 'up'], { env });
    expect(up).toMatchObject({ code: 0, stdout: `${lines.join('\n')}\n` });
    const again = await runCli(['stack', 'up', '--json'], { env });
    expect(again.code).toBe(0);
    expect(JSON.parse(again.stdout)).toMatchObject({
      wasUp: true,
      environment: {
        DATABASE_URL: postgresUrl,
        MONGODB_URI: mongoUri,
        TEMPORAL_ADDRESS: temporalAddress,
      },
    });
    const status = await runCli(['stack', 'status', '--json'], { env });
    expect(status.code).toBe(0);
    expect(JSON.parse(status.stdout)).toMatchObject({
      isUp: true,
      servers: [{ answers: true }, { answers: true }, { answers: true }],
    });
    const down = await runCli(['stack', 'down', '--json'], { env });
    expect(JSON.parse(down.stdout)).toMatchObject({ wasUp: true });
    const gone = await runCli(['stack', 'down'], { env });
    expect(gone).toMatchObject({ code: 0, stdout: 'Nothing was up.\n' });
  });

  test('a server that cannot be used is told in the sentence of the stack', async () => {
    const wrong = { ...env, TWINWRITE_STACK_POSTGRES_URL: 'mysql://nobody' };
    const { code, stdout, stderr } = await runCli(['stack', 'up', '--json'], { env: wrong });
    expect(code).toBe(1);
    expect(stderr).toContain('twinwrite: TWINWRITE_STACK_POSTGRES_URL cannot be used');
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'InvalidSetting' } });
  });
});
