import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkerOptions } from '@temporalio/worker';

/** Where `npm run build` puts the bundle that the package ships. */
export const BUNDLE_PATH = join(__dirname, '..', 'workflow-bundle.js');

/** The workflows: the prebuilt bundle of an installed package, or the sources of a checkout, which are bundled at every start. */
export function workflowSource(): Pick<WorkerOptions, 'workflowBundle' | 'workflowsPath'> {
  if (existsSync(BUNDLE_PATH)) return { workflowBundle: { codePath: BUNDLE_PATH } };
  return { workflowsPath: join(__dirname, '..', 'workflows') };
}
