/**
 * Goal: what callers of the SDK see when something is wrong, and that the SDK knows no store.
 * Method: a real Temporal server, and none.
 */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import { Twinwrite } from '../../src/client';
import { WebUi } from '../../src/client/web-ui';
import { eventually } from '../support/eventually';
import { projectionEntry } from '../support/ledger-definitions';
import { startTcpProxy } from '../support/tcp-proxy';
import { openWorld, type World } from '../support/world';

const definition = projectionEntry();
const entry = () => ({ id: randomUUID(), account: 'a', points: 1 });

describe('the client', () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
  });

  afterAll(async () => {
    await world.close();
  });

  test('loads no store driver and no worker', () => {
    const loaded = execFileSync(
      process.execPath,
      [
        '--import',
        'tsx',
        '-e',
        `require(${JSON.stringify(join(__dirname, '../../src/client.ts'))});
         console.log(JSON.stringify(Object.keys(require.cache)))`,
      ],
      { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } },
    );
    const files = JSON.parse(loaded) as string[];
    expect(files.some((file) => file.includes('@temporalio/client'))).toBe(true);
    const forbidden =
      /node_modules\/(pg|mongodb|bson|@temporalio\/worker|@temporalio\/core-bridge)\//;
    expect(files.filter((file) => forbidden.test(file))).toEqual([]);
  });

  test('an input that the schema refuses starts nothing, and names path and reason', async () => {
    const invalid = { id: 'x', account: 7, points: 1.5, extra: true } as never;
    const refused = world.twinwrite.execute(definition, invalid);
    await expect(refused).rejects.toMatchObject({ code: 'InvalidInput' });
    await expect(refused).rejects.toThrow(/account: .*points: .*extra/s);
    const list = world.temporal.workflow.list({ query: `WorkflowId = 'projectionEntry/x'` });
    for await (const started of list) throw new Error(`${started.workflowId} was started`);
  });

  test.each([
    ['a bigint', 10n],
    ['an operator', { $gt: 1 }],
  ])(
    'an input that JSON or a store would change is refused by its path: %s',
    async (_name, points) => {
      const refused = world.twinwrite.execute(definition, { ...entry(), points: points as never });
      await expect(refused).rejects.toMatchObject({ code: 'InvalidInput' });
      await expect(refused).rejects.toThrow(/points/);
    },
  );

  test.each([
    ['empty', ''],
    ['201 characters', 'x'.repeat(201)],
    ['a line feed', 'a\nb'],
    ['no string', 7 as never],
  ])('a token that cannot be one is refused: %s', async (_name, token) => {
    const refused = world.twinwrite.execute(definition, entry(), { token });
    await expect(refused).rejects.toMatchObject({ code: 'InvalidInput' });
    await expect(refused).rejects.toThrow(/token/);
  });

  test('a token nobody submitted is UnknownUpdate, for everything that one asks of its handle', async () => {
    const handle = world.twinwrite.handle(definition, randomUUID());
    const unknown = { code: 'UnknownUpdate', token: handle.token };
    await expect(handle.outcome()).rejects.toMatchObject(unknown);
    await expect(handle.cancel()).rejects.toMatchObject(unknown);
    await expect(handle.progress()).rejects.toMatchObject(unknown);
  });

  test('what is started shows in Temporal what it is', async () => {
    const input = entry();
    const handle = await world.twinwrite.submit(definition, input);
    const description = await world.temporal.workflow.getHandle(handle.workflowId).describe();
    expect(await description.staticSummary()).toBe(`projectionEntry ${input.id}`);
    expect(await description.staticDetails()).toContain('account:a');
    expect(description.memo).toMatchObject({ fingerprint: expect.stringMatching(/^1:/) });
    expect(handle.webUrl).toContain(encodeURIComponent(handle.workflowId));
    await handle.cancel();
  });

  test('without a Temporal server connect says where to look', async () => {
    const connect = withTemporalAt(await closedPort(), () => Twinwrite.connect());
    await expect(connect).rejects.toMatchObject({ code: 'Unavailable' });
    await expect(connect).rejects.toThrow(/TEMPORAL_ADDRESS/);
  });

  test('closing while Temporal is away ends the calls in flight, and not the process', async () => {
    const [host = '', port = ''] = world.addresses.temporalAddress.split(':');
    const proxy = await startTcpProxy({ host, port: Number(port) });
    const unexpected: unknown[] = [];
    const onUncaught = (error: unknown) => unexpected.push(error);
    process.on('uncaughtException', onUncaught);
    const twinwrite = await withTemporalAt(proxy.port, () => Twinwrite.connect());
    proxy.cut();
    const call = twinwrite.execute(definition, entry());
    const answer = expect(call).rejects.toMatchObject({ code: 'Unavailable' });
    await eventually(() => proxy.refusals() > 0 || undefined, 'the call has failed once');
    await twinwrite.close();
    await answer;
    process.off('uncaughtException', onUncaught);
    await proxy.close();
    expect(unexpected).toEqual([]);
  });

  test('a server that went away is Unavailable, with the token that makes a retry safe', async () => {
    const connection = Connection.lazy({ address: `127.0.0.1:${await closedPort()}` });
    const twinwrite = await Twinwrite.connect({ client: new Client({ connection }) });
    const input = entry();
    await expect(
      twinwrite.execute(definition, input, { timeoutMillis: 1_000 }),
    ).rejects.toMatchObject({
      code: 'Unavailable',
      token: input.id,
    });
    await connection.close();
  });
});

describe('the Web UI address', () => {
  test.each([
    ['localhost:7233', 'http://localhost:8233'],
    ['127.0.0.1:40000', 'http://127.0.0.1:41000'],
    [undefined, 'http://localhost:8233'],
    ['ns.acct.tmprl.cloud:7233', 'https://cloud.temporal.io'],
    ['temporal.internal:7233', undefined],
  ])('of a server at %s is %s', (server, expected) => {
    expect(WebUi.guess(server)).toBe(expected);
  });

  test('escapes what a token may contain', () => {
    const page = new WebUi('http://ui/', 'default').pageOf('a/b %?#é', 'run');
    expect(page).toBe('http://ui/namespaces/default/workflows/a%2Fb%20%25%3F%23%C3%A9/run/history');
  });
});

async function withTemporalAt<Result>(port: number, work: () => Promise<Result>): Promise<Result> {
  const before = process.env['TEMPORAL_ADDRESS'];
  process.env['TEMPORAL_ADDRESS'] = `127.0.0.1:${port}`;
  try {
    return await work();
  } finally {
    if (before === undefined) delete process.env['TEMPORAL_ADDRESS'];
    else process.env['TEMPORAL_ADDRESS'] = before;
  }
}

async function closedPort(): Promise<number> {
  return await new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() =>
        resolve(typeof address === 'object' && address !== null ? address.port : 0),
      );
    });
  });
}
