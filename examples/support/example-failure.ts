/**
 * Something that an example needs has failed. Its message is one sentence for the person at the
 * terminal.
 */
export class ExampleFailure extends Error {}
