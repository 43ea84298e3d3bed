import { writeFile } from 'node:fs/promises';
import { BUNDLE_PATH, bundleWorkflows } from './workflow-source';

/**
 * Run by the build: a worker with a bundle starts two seconds earlier, and every member of a pool
 * runs the same code.
 */
async function buildWorkflowBundle(): Promise<void> {
  const { code } = await bundleWorkflows();
  await writeFile(BUNDLE_PATH, code);
}

void buildWorkflowBundle();
