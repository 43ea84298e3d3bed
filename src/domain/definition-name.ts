const NAME = /^[A-Za-z][A-Za-z0-9_.-]{0,49}$/;

/**
 * A definition's name stands in workflow ids, ledgers and labels of metrics. It has no slash, so
 * that a name and a token meet in one id only; and together with the longest token it fits the 255
 * characters in which Temporal's SQL stores keep a workflow's id.
 */
export function isDefinitionName(name: unknown): name is string {
  return typeof name === 'string' && NAME.test(name);
}
