/** Goal: the Postgres leg of a projection keeps the contract of a leg. Method: the one suite. */
import { describeLegContract } from './leg-contract';
import { postgresProjection } from './subjects/postgres';

describeLegContract(postgresProjection);
