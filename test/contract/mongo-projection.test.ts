/** Goal: the Mongo leg of a projection keeps the contract of a leg. Method: the one suite. */
import { describeLegContract } from './leg-contract';
import { mongoProjection } from './subjects/mongo-projection';

describeLegContract(mongoProjection);
