import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { bundleWorkflowCode, DefaultLogger, type WorkerOptions } from '@temporalio/worker';
import { version } from '@temporalio/worker/package.json';

/**
 * Where `npm run build` puts the bundle that the package ships. Its name has Temporal's version in
 * it: a bundle works with exactly the worker that made it, and an application may have a later one
 * than we built with.
 */
export const BUNDLE_PATH = join(__dirname, '..', `workflow-bundle-${version}.js`);

let bundled: ReturnType<typeof bundleWorkflows> | undefined;

/** The workflows: the prebuilt bundle, or else the sources, bundled once a process. */
export async function workflowSource(
  path: string = BUNDLE_PATH,
): Promise<Pick<WorkerOptions, 'workflowBundle'>> {
  if (existsSync(path)) return { workflowBundle: { codePath: path } };
  bundled ??= bundleWorkflows();
  return { workflowBundle: await bundled };
}

/**
 * Bundles the workflows as they stand beside this file, and says nothing unless something is wrong.
 */
export async function bundleWorkflows() {
  return await bundleWorkflowCode({
    workflowsPath: join(__dirname, '..', 'workflows'),
    logger: new DefaultLogger('WARN'),
  });
}
