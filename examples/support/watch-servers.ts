import { ExampleFailure } from './example-failure';
import type { Lifetime } from './lifetime';
import type { Site } from './site';

const INTERVAL_MILLIS = 1_000;
const ANSWER_LIMIT_MILLIS = 3_000;
/** A busy machine may be late once or twice. */
const FAILURES_IN_A_ROW = 3;

/**
 * Ends the run when a server stays away. Twinwrite itself would wait for it, as it should: an
 * update in flight goes on when the server is back. A demonstration whose server has died waits for
 * nothing.
 */
export function watchServers(site: Site, lifetime: Lifetime): void {
  const probes = {
    PostgreSQL: () => site.postgres.query('select 1'),
    MongoDB: () => site.mongo.db().command({ ping: 1 }, { timeoutMS: ANSWER_LIMIT_MILLIS }),
    Temporal: () =>
      site.temporal.connection.withDeadline(Date.now() + ANSWER_LIMIT_MILLIS, () =>
        site.temporal.workflowService.getSystemInfo({}),
      ),
  };
  for (const [title, probe] of Object.entries(probes)) watch(title, probe, lifetime);
}

function watch(title: string, probe: () => Promise<unknown>, lifetime: Lifetime): void {
  let failures = 0;
  let probing = false;
  const timer = setInterval(() => {
    if (probing) return;
    probing = true;
    probe()
      .then(
        () => (failures = 0),
        () => (failures += 1),
      )
      .then(() => {
        probing = false;
        if (failures < FAILURES_IN_A_ROW) return;
        lifetime.end(new ExampleFailure(`${title} does not answer any more; run it again.`));
      })
      .catch(() => undefined);
  }, INTERVAL_MILLIS);
  timer.unref();
  lifetime.onClose(async () => clearInterval(timer));
}
