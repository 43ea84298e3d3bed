export type {
  ConnectOptions,
  Enlisted,
  EnlistOptions,
  Execute,
  ExecuteOptions,
  InputOf,
  OutcomeOptions,
  SubmitInTransactionOptions,
  SubmitOptions,
  UpdateHandle,
} from './client';
export { submitInTransaction, submitManyInTransaction, Twinwrite } from './client';
export type { TwinwriteConfig } from './define-config';
export { defineConfig } from './define-config';
export type {
  CrossStoreUpdate,
  CrossStoreUpdateOptions,
  Form,
  MongoLeg,
  MongoReader,
  MongoTransaction,
  PostgresClient,
  PostgresLeg,
  Precheck,
  ProjectionLeg,
  Recordable,
  Refuse,
  TransactionLeg,
} from './domain/definition';
export { defineCrossStoreUpdate } from './domain/definition';
export type { ErrorCode, ErrorFields } from './domain/errors';
export { isTwinwriteError, TwinwriteError } from './domain/errors';
export type { Expectation, VersionConflict } from './domain/expectation';
export type { Json, JsonIssue, JsonPrimitive } from './domain/json';
export type { Outcome, OutcomeStatus, Reason, ReasonCode } from './domain/outcome';
export type { Progress } from './domain/progress';
export type { DocumentReference, Image, Projection, ProjectionOptions } from './domain/projection';
export { defineProjection } from './domain/projection';
