/** Where the Temporal Web UI shows things. */
export class WebUi {
  constructor(
    private readonly address: string | undefined,
    private readonly namespace: string,
  ) {}

  /**
   * The Web UI that goes with a server's address: a dev server's stands a thousand ports above it,
   * Temporal Cloud has one for all.
   */
  static guess(serverAddress: string | undefined): string | undefined {
    const [host = 'localhost', port = '7233'] = (serverAddress ?? 'localhost:7233').split(':');
    if (host.endsWith('.tmprl.cloud') || host.endsWith('.temporal.io')) {
      return 'https://cloud.temporal.io';
    }
    const isLocal = host === 'localhost' || host === '127.0.0.1';
    return isLocal ? `http://${host}:${Number(port) + 1_000}` : undefined;
  }

  pageOf(workflowId: string, runId: string | undefined): string | undefined {
    if (this.address === undefined) return undefined;
    const base = this.address.replace(/\/+$/, '');
    const page = `${base}/namespaces/${this.namespace}/workflows/${encodeURIComponent(workflowId)}`;
    return runId === undefined ? page : `${page}/${runId}/history`;
  }
}
