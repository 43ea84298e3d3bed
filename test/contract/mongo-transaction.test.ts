/** Goal: the Mongo leg of the transaction form keeps the contract of a leg. Method: the one suite. */
import { describeLegContract } from './leg-contract';
import { mongoTransaction } from './subjects/mongo-transaction';

describeLegContract(mongoTransaction);
