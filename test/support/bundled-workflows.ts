/**
 * Stands for `src/worker/workflow-source` where a worker asks for its workflows: those of the
 * sources, bundled once for all test files. The module itself is tested in
 * `test/worker/workflow-source.test.ts`, and as the package ships it by all tests of the command.
 */
export async function workflowSource() {
  const codePath = process.env['TWINWRITE_TEST_WORKFLOW_BUNDLE'];
  if (codePath === undefined) throw new Error('the global setup of the tests has not run');
  return { workflowBundle: { codePath } };
}
