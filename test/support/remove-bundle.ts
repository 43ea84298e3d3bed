import { rmSync } from 'node:fs';

export default function removeBundle(): void {
  rmSync(process.env['TWINWRITE_TEST_WORKFLOW_BUNDLE'] ?? '', { force: true });
}
