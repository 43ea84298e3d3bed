/** Whom a statement of either store's ledger is about. */
export interface LedgerKey {
  readonly definition: string;
  readonly token: string;
  readonly fingerprint: string;
}
