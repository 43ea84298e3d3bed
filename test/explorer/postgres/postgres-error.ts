/** An error of the model's server, with the fields that `pg` gives one. */
export class PostgresError extends Error {
  override readonly name = 'error';
  readonly severity = 'ERROR';
  readonly constraint?: string;
  readonly table?: string;

  constructor(
    readonly code: string,
    message: string,
    place: { readonly constraint?: string; readonly table?: string } = {},
  ) {
    super(message);
    Object.assign(this, place);
  }
}
