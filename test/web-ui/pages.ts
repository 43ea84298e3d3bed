import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';

/** The pages of the Temporal Web UI, as an operator goes through them. */
export class WebUiPages {
  readonly #errors: string[] = [];
  #folder: Promise<string> | undefined;

  private constructor(private readonly page: Page) {
    page.on('pageerror', ({ message }) => this.#errors.push(message));
    // A script that got in would announce itself.
    page.on('dialog', (dialog) => {
      this.#errors.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
  }

  static async open(browser: Browser): Promise<WebUiPages> {
    const page = await browser.newPage({ viewport: { width: 1440, height: 1100 } });
    page.setDefaultTimeout(15_000);
    return new WebUiPages(page);
  }

  /** Opens an update's page, and gives the address and the heading at which it ends. */
  async openUpdate(webUrl: string): Promise<{ path: string; heading: string }> {
    await this.page.goto(webUrl);
    await this.page.getByRole('tab', { name: 'User Metadata' }).waitFor();
    const heading = await this.page.getByTestId('workflow-id-heading').innerText();
    return { path: new URL(this.page.url()).pathname, heading: heading.trim() };
  }

  /** The names of the steps in the event history's timeline. */
  async timeline(): Promise<string> {
    return await this.showTab('History', 'Postgres leg');
  }

  /** Opens a tab and waits for what it is to show. A running update's page never stops loading. */
  async showTab(name: string, shown = ''): Promise<string> {
    await this.page.getByRole('tab', { name }).click();
    return await this.#textWith(shown);
  }

  async #textWith(shown: string): Promise<string> {
    await this.page.locator('body', { hasText: shown }).waitFor();
    return await this.page.locator('body').innerText();
  }

  /** Summary, details and current details, as the text and the HTML that Markdown became. */
  async metadata(current: string): Promise<{ text: string; html: string }> {
    await this.showTab('User Metadata');
    // Markdown is rendered in frames of its own.
    const iframes = this.page.locator('iframe');
    await iframes.last().contentFrame().getByText(current).first().waitFor();
    const frames = this.page.frames().filter((frame) => frame !== this.page.mainFrame());
    const bodies = frames.map((frame) => frame.locator('body'));
    const text = await Promise.all(bodies.map((body) => body.innerText()));
    const html = await Promise.all(bodies.map((body) => body.innerHTML()));
    return { text: text.join('\n'), html: html.join('\n') };
  }

  /**
   * Asks the query that the page has chosen; gives what its fields hold, the query's name among it,
   * and the answer as it is shown.
   */
  async askQuery(): Promise<{ fields: string[]; answer: string }> {
    await this.showTab('Queries');
    const run = this.page.getByRole('button', { name: 'Run Query' });
    await run.waitFor();
    const inputs = await this.page.locator('input').all();
    const fields = await Promise.all(inputs.map((input) => input.inputValue()));
    await run.click();
    return { fields, answer: await this.#textWith('"done"') };
  }

  /** The list of updates that a query finds. What was just settled takes a moment to be found. */
  async list(webUiUrl: string, query: string, shown: string): Promise<string> {
    const address = `${webUiUrl}/namespaces/default/workflows?query=${encodeURIComponent(query)}`;
    await this.page.goto(address);
    return await this.#textWith(shown);
  }

  /** Kept outside the clone, for whoever wants to look. */
  async screenshot(name: string): Promise<string> {
    this.#folder ??= mkdtemp(join(tmpdir(), 'twinwrite-screenshots-'));
    const path = join(await this.#folder, `${name}.png`);
    await this.page.screenshot({ path, fullPage: true });
    return path;
  }

  /** What went wrong inside the pages. */
  errors(): readonly string[] {
    return this.#errors;
  }
}
