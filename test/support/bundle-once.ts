import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleWorkflows } from '../../src/worker/workflow-source';

/** Bundles the workflows before the first test file, for all of them: each would take seconds. */
export default async function bundleOnce(): Promise<void> {
  const { code } = await bundleWorkflows();
  const file = join(process.env['TMPDIR'] ?? '/tmp', `workflow-bundle-${process.pid}.js`);
  writeFileSync(file, code);
  process.env['TWINWRITE_TEST_WORKFLOW_BUNDLE'] = file;
}
