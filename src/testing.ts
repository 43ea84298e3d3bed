export type { Finding, FindingCode } from './domain/finding';
export type { CheckReport } from './testing/check-definition';
export { checkDefinition } from './testing/check-definition';
export type { CheckOptions } from './testing/options';
