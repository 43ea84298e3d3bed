/** Goal: the Postgres leg of the transaction form keeps the contract of a leg. Method: the one suite. */
import { describeLegContract } from './leg-contract';
import { postgresTransaction } from './subjects/postgres';

describeLegContract(postgresTransaction);
