/**
 * Goal: docker-compose.yml is right as far as that can be told without a Docker engine. Method: the
 * Compose project's schema, and rules of our own over the parsed file; what its commands do in the
 * image is in dockerfile.test.ts.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { placeOrder } from '../../examples/orders/definition';
import { drainOf } from '../../src/worker/tuning';
import { findSchemaErrors, ROOT, readComposeFile } from './compose-file';
import { readDockerfile } from './dockerfile';

const file = readComposeFile();
const services = Object.entries(file.services);

describe('docker-compose.yml', () => {
  test('follows the published schema of Compose', () => {
    expect(findSchemaErrors(file)).toEqual([]);
    // The schema is really asked: it knows no such field.
    const wrong = { services: { worker: { imagge: 'a:1' } } };
    expect(findSchemaErrors(wrong).join()).toContain('additional properties');
  });

  test('has both stores, Temporal, and the worker', () => {
    expect(Object.keys(file.services).sort()).toEqual([
      'migrate',
      'mongo',
      'postgres',
      'prepare-shop',
      'temporal',
      'worker',
    ]);
  });

  test('pins every image to a version, and so does the Dockerfile', () => {
    const bases = readDockerfile(join(ROOT, 'Dockerfile')).stages.map(({ base }) => base);
    const images = [...services.map(([, { image }]) => image), ...bases];
    for (const image of images) expect(image).toMatch(/:\d+\.\d+\.?\d*(-[a-z]+)*$/);
  });

  test('binds every port to the loopback interface', () => {
    const ports = services.flatMap(([, service]) => service.ports ?? []);
    expect(ports).toHaveLength(5);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
  });

  test('starts each service when what it needs is healthy or done', () => {
    for (const [, { depends_on: needs = {} }] of services) {
      for (const [name, { condition }] of Object.entries(needs)) {
        const isServer = file.services[name]?.healthcheck !== undefined;
        expect(condition).toBe(isServer ? 'service_healthy' : 'service_completed_successfully');
      }
    }
    expect(Object.keys(file.services['migrate']?.depends_on ?? {})).toHaveLength(3);
  });

  test('sets only variables that something reads', () => {
    const readers = [
      join(ROOT, 'src', 'config.ts'),
      require.resolve('@temporalio/envconfig/lib/envconfig-toml'),
    ];
    const known = new Set(
      readers.flatMap((path) => readFileSync(path, 'utf8').match(/\b[A-Z]+_[A-Z_]+\b/g) ?? []),
    );
    const ours = services.filter(([, { image }]) => image.startsWith('twinwrite'));
    const names = ours.flatMap(([, { environment }]) => Object.keys(environment ?? {}));
    expect(names.filter((name) => !known.has(name))).toEqual([]);
    expect(known).toContain('TEMPORAL_ADDRESS');
    expect(known).not.toContain('TWINWRITE_HEALTH');
  });

  test('gives the worker longer to stop than it takes to drain', () => {
    const { shutdownForceTime } = drainOf([placeOrder], undefined);
    const seconds = Number.parseInt(file.services['worker']?.stop_grace_period ?? '0', 10);
    expect(seconds * 1_000).toBeGreaterThan(shutdownForceTime + 2_000);
  });
});
