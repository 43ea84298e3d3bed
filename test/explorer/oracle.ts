import { isDeepStrictEqual } from 'node:util';
import { Long } from 'mongodb';
import { IMAGE, ORDER_COLLECTION, TRANSACTIONS } from './definitions';
import type { Driver } from './driver';
import type { Document } from './mongo/matching';
import type { Store } from './mongo/store';
import type { Database } from './postgres/database';
import type { Tuple } from './postgres/values';
import type { Scenario, Update } from './scenarios';

/** Says what must hold after every schedule, whatever happened in it, and during it. */
export class Oracle {
  readonly violations: string[] = [];
  readonly #versions = new Map<string, Long>();

  constructor(
    private readonly scenario: Scenario,
    private readonly database: Database,
  ) {}

  report(violation: string): void {
    this.violations.push(violation);
  }

  /** Clauses 7 and 14: a document is never ahead of Postgres, and never goes back. */
  written(collection: string, document: Document): void {
    if (collection !== 'documents' && collection !== 'owned') return;
    const key = `${collection}/${textOf(document['_id'])}`;
    const version = versionOf(document);
    if (version === undefined) return this.report(`${key} has no version`);
    const entity = this.database.committed('entity').find((row) => row['key'] === key);
    const newest = Long.fromString(textOf(entity?.['version'] ?? 0));
    if (version.greaterThan(newest)) this.report(`${key} is ahead of Postgres`);
    if (this.#versions.get(key)?.greaterThan(version) === true) this.report(`${key} went back`);
    this.#versions.set(key, version);
    return undefined;
  }

  /** When nothing is left to happen. */
  judge(drivers: readonly Driver[], store: Store): void {
    for (const update of this.scenario.updates) this.#judgeUpdate(update, drivers, store);
    this.#judgeLeftovers(store);
    this.#judgeDocuments(store);
    this.#judgeOrder(store);
  }

  #judgeUpdate({ kind, input }: Update, drivers: readonly Driver[], store: Store): void {
    const { token } = input;
    const own = drivers.filter(({ options }) => options.request.token === token);
    for (const { options, failure } of own) {
      if (failure !== undefined) this.report(`${options.name} failed: ${textOf(failure)}`);
    }
    const outcomes = own.flatMap(({ outcome }) => outcome ?? []);
    const [outcome] = outcomes;
    if (outcome === undefined) return this.report(`${token} has no outcome`);
    if (!outcomes.every((other) => isDeepStrictEqual(other, outcome))) {
      this.report(`${token} has more than one outcome: ${JSON.stringify(outcomes)}`);
    }
    const { status } = outcome;
    const row = this.database
      .committed('ledger')
      .find((each) => each['definition'] === kind && each['token'] === token);
    const states = {
      applied: ['applied'],
      compensated: ['undone'],
      refused: ['refused', 'fenced'],
    };
    if (!states[status].includes(textOf(row?.['state']))) {
      this.report(`${token} is ${status}, and its ledger says ${textOf(row?.['state'])}`);
    }
    const wanted = { applied: [1, 0], compensated: [1, 1], refused: [0, 0] }[status];
    for (const key of input.keys) {
      const effects = this.#effects(key).filter((effect) => effect['token'] === token);
      const counts = ['applied', 'undone'].map(
        (effect) => effects.filter((each) => each['kind'] === effect).length,
      );
      if (!isDeepStrictEqual(counts, wanted)) {
        this.report(
          `${token} is ${status}, with effects ${counts.join('/')} in Postgres on ${key}`,
        );
      }
      this.#judgeTransaction(kind, token, key, status, store);
    }
    return undefined;
  }

  /** The transaction form, in MongoDB. */
  #judgeTransaction(
    kind: string,
    token: string,
    key: string,
    status: 'applied' | 'compensated' | 'refused',
    store: Store,
  ): void {
    if (!TRANSACTIONS.has(kind)) return;
    const effects = orderOf(store, key)
      .filter((effect) => effect.startsWith(`${token} `))
      .join();
    const both = `${token} applied,${token} undone`;
    const allowed = { applied: [`${token} applied`], compensated: ['', both], refused: [''] };
    if (!allowed[status].includes(effects)) {
      this.report(`${token} is ${status}, with effects '${effects}' in MongoDB on ${key}`);
    }
    const claim = store
      .committed('twinwrite_ledger')
      .find((document) => document['_id'] === `${kind}/${token}`);
    const states = {
      applied: ['applied'],
      compensated: ['fenced', 'undone'],
      refused: ['fenced', 'nothing'],
    };
    if (!states[status].includes(textOf(claim?.['state']))) {
      this.report(`${token} is ${status}, and MongoDB's ledger says ${textOf(claim?.['state'])}`);
    }
  }

  #judgeLeftovers(store: Store): void {
    for (const table of ['pending', 'waiting', 'call']) {
      const rows = this.database.committed(table).length;
      if (rows > 0) this.report(`${rows} rows are left in ${table}`);
    }
    for (const { key, holder, waiting } of this.database.committed('entity')) {
      if (holder !== null || waiting !== 0)
        this.report(`${textOf(key)} is still held or waited for`);
    }
    if (store.open.size > 0) this.report('a transaction of MongoDB is left open');
  }

  /** A projection is what Postgres says, at the version that Postgres says. */
  #judgeDocuments(store: Store): void {
    for (const { key, version } of this.database.committed('entity')) {
      const [collection = '', id = ''] = textOf(key).split('/');
      if (collection !== 'documents' && collection !== 'owned') continue;
      const [image] = this.database.runAtOnce(IMAGE, [[id]]);
      const document = store.committed(collection).find((each) => each['_id'] === id);
      const found = document === undefined ? undefined : versionOf(document);
      if (found?.toString() !== textOf(version)) {
        this.report(
          `${textOf(key)} is at ${found?.toString()}, and Postgres at ${textOf(version)}`,
        );
        continue;
      }
      const { _tw: stamp, _id, ...fields } = document ?? {};
      const isLive = (stamp as { live?: boolean } | undefined)?.live === true;
      const { _id: _, ...expected } = image ?? {};
      if (isLive !== (image !== undefined) || !isDeepStrictEqual(fields, { ...expected })) {
        this.report(`${textOf(key)} is not its image: ${JSON.stringify(fields)}`);
      }
    }
  }

  /** Clause 7: nobody comes in between what may be taken back, and both stores have one order. */
  #judgeOrder(store: Store): void {
    const keys = new Set(this.scenario.updates.flatMap(({ input }) => input.keys));
    for (const key of keys) {
      const effects = this.#effects(key).map(
        ({ token, kind }) => `${textOf(token)} ${textOf(kind)}`,
      );
      for (const [index, effect] of effects.entries()) {
        const [token, kind] = effect.split(' ');
        if (kind === 'undone' && effects[index - 1] !== `${token} applied`) {
          this.report(`somebody came between ${key} of ${token} and its undo: ${effects.join()}`);
        }
      }
      const inMongo = orderOf(store, key);
      const tokens = new Set(inMongo.map((effect) => effect.split(' ')[0]));
      const inBoth = effects.filter((effect) => tokens.has(effect.split(' ')[0]));
      if (!isDeepStrictEqual(inBoth, inMongo)) {
        this.report(
          `the stores differ in their order on ${key}: ${inBoth.join()}; ${inMongo.join()}`,
        );
      }
    }
  }

  #effects(key: string): Tuple[] {
    return this.database
      .committed('effect')
      .filter((row) => row['key'] === key)
      .sort((a, b) => Number(a['number']) - Number(b['number']));
  }
}

function orderOf(store: Store, key: string): string[] {
  const document = store.committed(ORDER_COLLECTION).find((each) => each['_id'] === key);
  return (document?.['effects'] as string[] | undefined) ?? [];
}

function versionOf(document: Document): Long | undefined {
  const version = (document['_tw'] as { version?: unknown } | undefined)?.version;
  return Long.isLong(version) ? version : undefined;
}

function textOf(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  return value instanceof Error ? value.message : (value as string | bigint).toString();
}
