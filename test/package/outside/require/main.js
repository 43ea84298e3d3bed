// An application in CommonJS, from its start to its own end: nothing here calls process.exit.
const { randomUUID } = require('node:crypto');
const { MongoClient } = require('mongodb');
const { Pool } = require('pg');
const { isTwinwriteError, Twinwrite } = require('twinwrite');
const { createWorker } = require('twinwrite/worker');
const { orderMeal, prepareShop, takeSeat } = require('./shop');

async function main() {
  const postgres = new Pool({ connectionString: process.env.DATABASE_URL });
  const mongo = new MongoClient(process.env.MONGODB_URI);
  await prepareShop(postgres);
  const worker = await createWorker({ updates: [takeSeat, orderMeal], postgres, mongo });
  const done = worker.run();
  const twinwrite = await Twinwrite.connect();
  const id = randomUUID();
  const outcomes = [
    await twinwrite.execute(takeSeat, { id, guest: 'Ada' }),
    await twinwrite.execute(orderMeal, { id, dishes: ['soup', 'bread'] }),
    await twinwrite.execute(takeSeat, { id: `${id}-2`, guest: 'banned' }),
  ];
  const reuse = await twinwrite.execute(takeSeat, { id, guest: 'Bob' }).catch((error) => error);
  const seat = await mongo.db().collection('seats').findOne({ _id: id });
  const meal = await mongo.db().collection('meals').findOne({ _id: id });
  const report = {
    node: process.versions.node,
    outcomes,
    reuse: isTwinwriteError(reuse, 'TokenReused') ? reuse.code : String(reuse),
    mongo: { guest: seat?.guest, dishes: meal?.dishes },
  };
  worker.shutdown();
  await done;
  await twinwrite.close();
  await mongo.close();
  await postgres.end();
  process.stdout.write(`\nreport ${JSON.stringify(report)}\n`);
}

void main();
