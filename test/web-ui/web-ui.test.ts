/**
 * Goal: an operator who has only the Temporal Web UI sees what an update is, where it stands, and
 * what became of it; and nothing that a caller wrote is more than text there. Method: a real
 * browser on the real Web UI, over updates of the orders example.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Browser } from 'playwright-core';
import type { UpdateHandle } from 'twinwrite';
import { placeOrder } from '../../examples/orders/definition';
import { prepareShop } from '../../examples/orders/prepare';
import { registerSearchAttributes } from '../../src/client/register-search-attributes';
import { openBrowser } from '../support/browser';
import { openWorld, type RunningWorker, type World } from '../support/world';
import { WebUiPages } from './pages';

const STOCK = ['sku-1', 'sku-2'].map((sku) => ({
  sku,
  title: 'Kettle',
  priceCents: '1999',
  available: 1_000,
}));

/** Whatever Markdown and HTML would make something of, and what an address has to escape. */
const HOSTILE =
  'a/b %2F?c#d é 日本 **bold** <img src=x onerror=alert(1)> [link](https://evil.example) `code` www.evil.example';

describe('the Temporal Web UI', () => {
  let world: World;
  let worker: RunningWorker;
  let browser: Browser;
  let pages: WebUiPages;

  beforeAll(async () => {
    world = await openWorld();
    await prepareShop(world.postgres, world.mongo.db(), STOCK);
    await registerSearchAttributes(world.temporal);
    worker = await world.startWorker({ updates: [placeOrder] });
    browser = await openBrowser();
    pages = await WebUiPages.open(browser);
  });

  afterAll(async () => {
    await browser?.close();
    await worker?.stop();
    await world?.close();
  });

  const submit = async (change: { quantity?: number; giftNote?: string; sku?: string } = {}) =>
    await world.twinwrite.submit(placeOrder, {
      orderId: randomUUID(),
      sku: 'sku-1',
      quantity: 1,
      ...change,
    });

  const open = async (handle: UpdateHandle) => await pages.openUpdate(handle.webUrl ?? '');

  test('an applied update: what it is, its legs by name, its outcome', async () => {
    const handle = await submit();
    await handle.outcome();
    expect((await open(handle)).heading).toBe(handle.workflowId);
    const timeline = await pages.timeline();
    expect(timeline).toContain('applyPostgres • Postgres leg');
    expect(timeline).toContain('applyMongo • Mongo leg');
    await pages.screenshot('applied-history');
    const { text, html } = await pages.metadata('Outcome: applied.');
    expect(text).toContain(`placeOrder ${handle.token}`);
    expect(text).toContain('a PostgreSQL transaction, then MongoDB documents');
    expect(text).toContain(`Token ${handle.token}`);
    expect(text).toContain('Entities stock:sku-1');
    expect(text).toContain('Postgres leg: applied');
    expect(text).toContain('Mongo leg: settled as applied');
    expect(html).toContain('<strong>Outcome: applied.</strong>');
    await pages.screenshot('applied-metadata');
  });

  test('a compensated update: the reason, and each step of the way back', async () => {
    const handle = await submit({ giftNote: 'x'.repeat(200) });
    expect(await handle.outcome()).toMatchObject({ status: 'compensated' });
    await open(handle);
    const { text } = await pages.metadata('Outcome: compensated.');
    expect(text).toContain('RefusedByMongo: MongoDB refused the data');
    const steps = [
      'Postgres leg: applied',
      'Mongo leg: refused',
      'Compensation: fence Postgres: it ran, so it is undone',
      'Compensation: undo Postgres: undone',
      'Compensation: restore Mongo: settled as compensated',
    ];
    for (const step of steps) expect(text).toContain(step);
    await pages.screenshot('compensated-metadata');
  });

  test('an update that is blocked: where it stands, while it stands there', async () => {
    const blocker = await world.postgres.connect();
    try {
      await blocker.query('begin');
      await blocker.query('lock table orders');
      const handle = await submit();
      await open(handle);
      const { text } = await pages.metadata('Running: Postgres leg.');
      expect(text).toContain('Attempts and the last failure stand under Pending Activities.');
      await pages.screenshot('running-metadata');
      const pending = await pages.showTab('Pending Activities', 'PostgreSQL answered SQLSTATE');
      expect(pending).toContain('applyPostgres');
      await pages.screenshot('running-pending');
      await blocker.query('rollback');
      expect(await handle.outcome()).toMatchObject({ status: 'applied' });
    } finally {
      blocker.release(true);
    }
  });

  test('a parked update: why, what to do about it, and what it was once that was done', async () => {
    const orderId = randomUUID();
    const orders = world.mongo.db().collection<{ _id: string }>('orders');
    // A document that somebody else wrote: to overwrite it is not ours to decide.
    await orders.insertOne({ _id: orderId }, { bypassDocumentValidation: true });
    const handle = await world.twinwrite.submit(placeOrder, { orderId, sku: 'sku-2', quantity: 1 });
    await open(handle);
    const { text, html } = await pages.metadata('Parked: Mongo leg needs somebody.');
    expect(text).toContain(`orders/${orderId} exists in MongoDB and was not written by Twinwrite.`);
    expect(text).toContain(`twinwrite retry placeOrder ${orderId} does so at once`);
    expect(text).toContain('Mongo leg: parked');
    expect(html).toContain('<strong>Parked: Mongo leg needs somebody.</strong>');
    await pages.screenshot('parked-metadata');
    const query = `TwinwriteOutcome="parked" AND TaskQueue="${world.name}"`;
    await pages.list(world.addresses.temporalWebUrl ?? '', query, handle.workflowId);
    await pages.screenshot('parked-list');
    await orders.deleteOne({ _id: orderId });
    await world.temporal.workflow.getHandle(handle.workflowId).signal('retry');
    expect(await handle.outcome()).toMatchObject({ status: 'applied' });
    await open(handle);
    expect((await pages.metadata('Outcome: applied.')).text).not.toContain('parked');
  });

  test('a token with Markdown and HTML in it is shown as text, and its address opens its page', async () => {
    const token = `${HOSTILE} ${randomUUID()}`;
    const input = { orderId: randomUUID(), sku: '**x** <b>y</b>', quantity: 1 };
    const handle = await world.twinwrite.submit(placeOrder, input, { token });
    expect(await handle.outcome()).toMatchObject({ status: 'refused' });
    const withRun = await open(handle);
    expect(withRun.heading).toBe(handle.workflowId);
    const { text, html } = await pages.metadata('Outcome: refused.');
    expect(text).toContain(`Token ${token}`);
    expect(text).toContain('Entities stock:**x** <b>y</b>');
    expect(html).not.toMatch(/<(?:a|b|img|script)\b/);
    expect(html).not.toContain('<strong>x</strong>');
    await pages.screenshot('hostile-metadata');
    const withoutRun = await open(world.twinwrite.handle(placeOrder, token));
    expect(withoutRun).toEqual(withRun);
    expect(pages.errors()).toEqual([]);
  });

  test('the search attributes tell definition and outcome, and lists are filtered by them', async () => {
    const handle = await submit();
    await handle.outcome();
    await open(handle);
    const shown = await pages.showTab('Search Attributes', 'TwinwriteOutcome');
    expect(shown).toContain('"TwinwriteDefinition": "placeOrder"');
    expect(shown).toContain('"TwinwriteOutcome": "applied"');
    const query = `TwinwriteDefinition="placeOrder" AND TwinwriteOutcome="applied" AND TaskQueue="${world.name}"`;
    const webUi = world.addresses.temporalWebUrl ?? '';
    const list = await pages.list(webUi, query, handle.workflowId);
    expect(list).not.toContain('evil.example');
    await pages.screenshot('list');
  });

  test('the query is offered by name, with a description, and answers where the update stands', async () => {
    const handle = await submit();
    await handle.outcome();
    await open(handle);
    const { fields, answer } = await pages.askQuery();
    expect(fields).toContain('progress');
    expect(answer).toContain('"status": "applied"');
    await pages.screenshot('query');
    const workflow = world.temporal.workflow.getHandle(handle.workflowId);
    const metadata = await workflow.query<{ definition: { queryDefinitions: object[] } }>(
      '__temporal_workflow_metadata',
    );
    expect(metadata.definition.queryDefinitions).toContainEqual({
      name: 'progress',
      description: expect.stringContaining('Where this cross-store update stands'),
    });
  });

  test('without any worker the outcome still stands on the page', async () => {
    const handle = await submit();
    await handle.outcome();
    await worker.stop();
    await open(handle);
    const history = await pages.timeline();
    expect(history).toContain('"status": "applied"');
    await pages.showTab('Search Attributes', '"TwinwriteOutcome": "applied"');
    worker = await world.startWorker({ updates: [placeOrder] });
  });
});
