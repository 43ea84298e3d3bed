/**
 * Goal: the image that the Dockerfile describes works, and so do the commands that
 * docker-compose.yml runs in it. Method: without a Docker engine, the Dockerfile's steps in order
 * in empty folders; then the commands, in the order of their dependencies, on the real servers.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { placeOrder } from '../../examples/orders/definition';
import { printed } from '../package/run-program';
import { eventually } from '../support/eventually';
import { openWorld, type World } from '../support/world';
import { ROOT, readComposeFile } from './compose-file';
import { type BuiltImage, carryOut, namesIn, readDockerfile } from './dockerfile';

/** It installs everything, builds, and prunes; a first run on a fresh machine downloads as well. */
const BUILD_MILLIS = 600_000;

const dockerfile = readDockerfile(join(ROOT, 'Dockerfile'));
const { services } = readComposeFile();

/** The image is one for Linux: its last step keeps Temporal's library for that platform alone. */
const describeOnLinux = process.platform === 'linux' ? describe : describe.skip;

describeOnLinux('the image of the worker', () => {
  let world: World;
  let folder: string;
  let image: BuiltImage;
  let environment: NodeJS.ProcessEnv;

  beforeAll(async () => {
    world = await openWorld();
    folder = await mkdtemp(join(tmpdir(), 'twinwrite-image-'));
    image = await carryOut(dockerfile, ROOT, folder);
    environment = {
      PATH: process.env['PATH'],
      HOME: folder,
      ...image.environment,
      ...services['worker']?.environment,
      DATABASE_URL: world.postgresUrl,
      MONGODB_URI: world.mongoUri,
      TEMPORAL_ADDRESS: world.addresses.temporalAddress,
      TWINWRITE_TASK_QUEUE: world.name,
      TWINWRITE_HEALTH_HOST: '127.0.0.1',
      TWINWRITE_HEALTH_PORT: '0',
    };
  }, BUILD_MILLIS);

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
    await world.close();
  });

  const runOnce = async ([program = '', ...args]: readonly string[]): Promise<string> =>
    await printed(program, args, { cwd: image.workingDirectory, env: environment });

  test('holds what runs, and nothing that only builds or tests', async () => {
    expect((await namesIn(image, '.')).sort()).toEqual([
      'dist',
      'examples',
      'node_modules',
      'package.json',
    ]);
    const installed = await namesIn(image, 'node_modules');
    expect(installed).toEqual(expect.arrayContaining(['mongodb', 'pg', 'zod', 'jiti']));
    for (const name of ['jest', 'typescript', 'oxlint']) expect(installed).not.toContain(name);
    const platforms = await namesIn(image, 'node_modules/@temporalio/core-bridge/releases');
    expect(platforms).toHaveLength(1);
  });

  test('runs as a user without rights, and node gets the signals itself', () => {
    const last = dockerfile.stages.at(-1)?.instructions ?? [];
    expect(last).toContainEqual({ keyword: 'USER', text: 'node' });
    expect(dockerfile.command[0]).toBe('node');
  });

  test('migrates, prepares the shop, runs a worker that is ready and places an order, and drains', async () => {
    await runOnce(services['migrate']?.command ?? []);
    await runOnce(services['prepare-shop']?.command ?? []);
    const worker = startWorker();
    try {
      const health = await eventually(worker.healthUrl, 'the worker says that it started');
      await eventually(
        () => runHealthcheck(health),
        'the health check of docker-compose.yml passes',
      );
      const order = { orderId: randomUUID(), sku: 'kettle', quantity: 2 };
      const outcome = await world.twinwrite.execute(placeOrder, order, { timeoutMillis: 20_000 });
      expect(outcome).toEqual({ status: 'applied', result: { totalCents: '3998' } });
      worker.process.kill('SIGTERM');
      const [code] = (await once(worker.process, 'exit')) as [number | null];
      expect(code).toBe(0);
    } finally {
      worker.process.kill('SIGKILL');
    }
  }, 120_000);

  /** The Dockerfile's CMD, with the image's root where it lies now. */
  function startWorker(): { process: ChildProcess; healthUrl: () => string | undefined } {
    const [program = '', ...args] = dockerfile.command.map((word) =>
      word.startsWith('/app/') ? join(image.root, word) : word,
    );
    const child = spawn(program, args, {
      cwd: image.workingDirectory,
      env: environment,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let log = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (log += text));
    return { process: child, healthUrl: () => /"health":"([^"]+)"/.exec(log)?.[1] };
  }

  /** At the port that this worker has. */
  async function runHealthcheck(healthUrl: string): Promise<true | undefined> {
    const [, ...command] = services['worker']?.healthcheck?.test ?? [];
    const words = command.map((word) => word.replace('http://127.0.0.1:9464', healthUrl));
    return await runOnce(words).then(
      () => true,
      () => undefined,
    );
  }
});
