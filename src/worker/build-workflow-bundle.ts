import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { BUNDLE_PATH } from './workflow-source';

/** Run by the build: a worker with a bundle starts two seconds earlier, and every member of a pool runs the same code. */
async function buildWorkflowBundle(): Promise<void> {
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(__dirname, '..', 'workflows'),
    logger: new DefaultLogger('WARN'),
  });
  await writeFile(BUNDLE_PATH, code);
}

void buildWorkflowBundle();
