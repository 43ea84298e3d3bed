import type { Subject } from '../clause';
import { PostgresLeg } from '../leg';

const leg: Subject['leg'] = (...parameters) => new PostgresLeg(...parameters);

/** Every clause applies: Postgres has the ledger that the others are read from. */
export const postgresProjection: Subject = {
  store: 'PostgreSQL',
  form: 'projection',
  leg,
  instead: {},
};

export const postgresTransaction: Subject = {
  store: 'PostgreSQL',
  form: 'transaction',
  leg,
  instead: {},
};
