import type { Mistake } from './mistake';

const LEDGER = 'activities/postgres/migrations/0003-protocol.ts';
const GUARDS = 'activities/postgres/migrations/0008-guards.ts';
const JANITOR = 'activities/postgres/migrations/0005-janitor.ts';
const QUEUE = 'activities/postgres/migrations/0002-queue.ts';

/** Changes of the ledger's SQL, of the files that call it, and of the drivers. */
export const MISTAKES_IN_POSTGRES: readonly Mistake[] = [
  {
    name: 'no fence in Postgres',
    scenarios: ['free'],
    patches: [
      {
        file: LEDGER,
        old: `      insert into twinwrite.ledger (definition, token, state, ticket, fingerprint, reason)
        values (in_definition, in_token, as_state, nextval('twinwrite.ticket'), in_fingerprint, in_reason)
        on conflict do nothing;
      known := twinwrite.recollect(in_definition, in_token);`,
        new: `      known := twinwrite.recollect(in_definition, in_token);
      if known.answer = 'unknown' then
        known.answer := 'settled'; known.state := as_state; known.fingerprint := in_fingerprint; known.reason := in_reason;
        return known;
      end if;`,
      },
    ],
  },
  {
    name: 'the token from the run id',
    scenarios: ['free'],
    patches: [
      {
        file: 'activities/index.ts',
        old: '      await attempt(attemptOf(request), request, ...rest);',
        new: `{
      const token = \`\${request.token}-\${activityInfo().workflowExecution?.runId}\`;
      return await attempt(attemptOf(request), { ...request, token }, ...rest);
    }`,
      },
    ],
  },
  {
    name: 'the snapshot before the lock',
    scenarios: ['undoable-and-undoable', 'free-and-free', 'undone-before-free'],
    patches: [
      {
        file: GUARDS,
        old: `          select k.key, s.epoch::bigint * 1099511627776 + 1, take.holder from unnest(keys) k(key), twinwrite.store s order by k.key collate "C"
          on conflict (key) do update set version = greatest(e.version + 1, excluded.version), holder = excluded.holder
            where e.holder is null and e.waiting = 0
`,
        new: `          select k.key, s.epoch::bigint * 1099511627776 + 1, take.holder from unnest(keys) k(key), twinwrite.store s
            where not exists (select from twinwrite.entity o where o.key = k.key and (o.holder is not null or o.waiting > 0)) order by k.key collate "C"
          on conflict (key) do update set version = greatest(e.version + 1, excluded.version), holder = excluded.holder
`,
      },
    ],
  },
  {
    name: 'history trusted for "never ran"',
    scenarios: ['undoable', 'free'],
    patches: [
      {
        file: 'workflows/cross-store-update.ts',
        old: `    return await driveForward(steps);
  } catch (error) {
    if (!isCancellation(error)) throw error;`,
        new: `    return await driveForward({
      ...steps,
      applyPostgres: async () => {
        const answer = await steps.applyPostgres();
        hasRun = true;
        return answer;
      },
    });
  } catch (error) {
    if (!isCancellation(error)) throw error;
    if (!hasRun) return { status: 'refused', reason: CANCELLED };`,
      },
      {
        file: 'workflows/cross-store-update.ts',
        old: 'async function driveUntilCancelled(steps: BoundSteps): Promise<Outcome<Json>> {',
        new: 'async function driveUntilCancelled(steps: BoundSteps): Promise<Outcome<Json>> {\n  let hasRun = false;',
      },
    ],
  },
  {
    name: 'settling without compare-and-set',
    scenarios: ['undoable', 'both'],
    patches: [
      {
        file: LEDGER,
        old: `      delete from twinwrite.pending p where p.ticket = in_ticket
        and p.stage = case when in_undone then 'undoing' else 'forward' end::twinwrite.pending_stage
        and (not in_undone or exists (
          select from twinwrite.ledger l where l.definition = in_definition and l.token = in_token and l.state = 'undone'));`,
        new: '      delete from twinwrite.pending p where p.ticket = in_ticket;',
      },
    ],
  },
  {
    name: 'a free update that ignores a hold',
    scenarios: ['undone-before-free'],
    patches: [
      {
        file: GUARDS,
        old: '            where e.holder is null and e.waiting = 0',
        new: '            where take.holder is null or (e.holder is null and e.waiting = 0)',
      },
    ],
  },
  {
    name: 'release by recomputed entities',
    scenarios: ['redeployed'],
    patches: [
      {
        file: 'activities/postgres/leg.ts',
        old: `    (client) => ledger.settle(client, update.key, claim),`,
        new: `    async (client) => {
      const { entities } = await update.plan();
      await client.query('update twinwrite.pending set entities = $1 where ticket = $2', [entities, claim.ticket]);
      return await ledger.settle(client, update.key, claim);
    },`,
      },
    ],
  },
  {
    name: 'the tag of COMMIT ignored',
    scenarios: ['swallowing'],
    patches: [
      {
        file: 'activities/postgres/transaction.ts',
        old: `    assertCommitted(await client.query('commit'));`,
        new: `    await client.query('commit');`,
      },
      // The first line of defence asks before COMMIT, and has to be gone for the second to count.
      {
        file: 'activities/postgres/callback-client.ts',
        old: `    if (status === 'E') this.#misused('swallowed the error of a statement');
    if (status !== 'T')`,
        new: `    if (status === 'I')`,
      },
      {
        file: 'activities/postgres/ledger.ts',
        old: `  const { rows } = await client.query<{ turns: string[] }>(
    /*sql*/ \`select twinwrite.finish_leg($1, $2, $3, $4, $5) as turns\`,
    [key.definition, key.token, JSON.stringify(claimed.result), driver, byTurn],
  );`,
        new: `  const { rows } = await client.query<{ turns: string[] }>(
    /*sql*/ \`select twinwrite.finish_leg($1, $2, $3, $4, $5) as turns\`,
    [key.definition, key.token, JSON.stringify(claimed.result), driver, byTurn],
  ).catch(() => ({ rows: [] as { turns: string[] }[] }));`,
      },
    ],
  },
  {
    name: 'an undo that runs whenever it is asked for',
    scenarios: ['undoable', 'both'],
    patches: [
      {
        file: 'activities/postgres/ledger.ts',
        old: `  const mustUndo = row.answer === 'undoing' && row.state === 'applied';`,
        new: `  const mustUndo = row.answer === 'undoing';`,
      },
    ],
  },
  {
    name: 'an undo without a version of its own',
    scenarios: ['undoable'],
    patches: [
      {
        file: LEDGER,
        old: `        perform twinwrite.bump(known.entities || known.documents);
      end if;
      return known;`,
        new: `        null;
      end if;
      return known;`,
      },
    ],
  },
  {
    name: 'the next in the queue is not called',
    scenarios: ['undone-before-free'],
    patches: [
      {
        file: QUEUE,
        old: `      return case when waiters = 0 then '{}' else twinwrite.call_next(keys) end;`,
        new: `      return '{}';`,
      },
    ],
  },
  {
    name: 'a turn that nobody comes for is not the janitor’s',
    scenarios: ['undone-before-free'],
    patches: [
      {
        file: JANITOR,
        old: `            and (o.stage in ('forward', 'undoing') or (o.stage = 'granted' and (o.calls >= 2 or o.parked is not null)))`,
        new: `            and o.stage in ('forward', 'undoing')`,
      },
    ],
  },
  {
    name: 'a lost answer of a commit taken for a failure of the leg',
    scenarios: ['free', 'both'],
    patches: [
      {
        file: 'activities/postgres/leg.ts',
        old: '    const reason = refusalOf(error);',
        new: "    const reason = refusalOf(error) ?? { code: 'RefusedByPostgres', message: 'it failed' };",
      },
      {
        file: 'activities/postgres/ledger.ts',
        old: `  return replyOf(key, await call(client, 'refuse', parameters));`,
        new: `  await call(client, 'refuse', parameters);
  return { answer: { at: 'settled' as const, outcome: { status: 'refused' as const, reason } }, turns: [] };`,
      },
    ],
  },
];
