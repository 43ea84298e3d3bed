// A test of an application, in CommonJS and plain JavaScript, as Jest runs it without a transformer.
const { randomUUID } = require('node:crypto');
const { MongoClient } = require('mongodb');
const { Pool } = require('pg');
const { Twinwrite } = require('twinwrite');
const { checkDefinition } = require('twinwrite/testing');
const { createWorker } = require('twinwrite/worker');
const { orderMeal, prepareShop, takeSeat } = require('../require/shop');

describe('the shop', () => {
  let postgres;
  let mongo;
  let worker;
  let done;
  let twinwrite;

  beforeAll(async () => {
    postgres = new Pool({ connectionString: process.env.DATABASE_URL });
    mongo = new MongoClient(process.env.MONGODB_URI);
    await prepareShop(postgres);
    worker = await createWorker({ updates: [takeSeat, orderMeal], postgres, mongo });
    done = worker.run();
    twinwrite = await Twinwrite.connect();
  });

  afterAll(async () => {
    worker.shutdown();
    await done;
    await twinwrite.close();
    await mongo.close();
    await postgres.end();
  });

  test('seats a guest in both stores', async () => {
    const id = randomUUID();
    expect(await twinwrite.execute(takeSeat, { id, guest: 'Ada' })).toEqual({
      status: 'applied',
      result: { guest: 'Ada' },
    });
    expect(await mongo.db().collection('seats').findOne({ _id: id })).toMatchObject({
      guest: 'Ada',
    });
  });

  test('sends an order to both stores', async () => {
    const id = randomUUID();
    const outcome = await twinwrite.execute(orderMeal, { id, dishes: ['soup'] });
    expect(outcome).toEqual({ status: 'applied', result: { dishes: 1 } });
  });

  test('has a definition that is sound', async () => {
    const report = await checkDefinition(takeSeat, {
      inputs: [{ id: randomUUID(), guest: 'Ada' }, { id: randomUUID() }],
      refused: [{ id: randomUUID(), guest: 'banned' }],
      postgres,
      mongo,
    });
    expect(report.unchecked).toEqual([]);
  });
});
