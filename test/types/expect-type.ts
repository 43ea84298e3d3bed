/**
 * Whether two types are the same one, and not only assignable to each other: `any` and optional
 * fields do not pass for something else.
 */
type Same<Left, Right> =
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- only a comparison of two deferred conditional types is exact.
  (<T>() => T extends Left ? 1 : 2) extends <T>() => T extends Right ? 1 : 2 ? true : false;

/**
 * `expectType<Expected>()(value)` compiles only where the type of `value` is exactly the expected
 * one. It is never run.
 */
export declare function expectType<Expected>(): <Actual>(
  actual: Actual,
  ...mismatch: Same<Actual, Expected> extends true ? [] : [itsTypeShouldBe: Expected]
) => void;
