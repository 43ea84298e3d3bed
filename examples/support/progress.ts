const BAR_WIDTH = 30;
const REDRAW_MILLIS = 100;
/** Without a terminal, a line at each tenth, and at least this often. */
const LINE_MILLIS = 10_000;

/**
 * Shows how far something is: a bar on a terminal, plain lines elsewhere. Lines that are said
 * meanwhile stand above the bar.
 */
export class Progress {
  readonly #startedMillis = Date.now();
  #done = 0;
  #saidTenth = 0;
  #isStopped = false;
  #shownMillis = Date.now();

  constructor(
    private readonly title: string,
    private readonly total: number,
    private readonly stream: NodeJS.WriteStream = process.stdout,
  ) {
    this.#draw();
  }

  /** One more is done. */
  advance(): void {
    this.#done += 1;
    if (this.#isStopped) return;
    const now = Date.now();
    if (this.stream.isTTY) {
      if (now - this.#shownMillis < REDRAW_MILLIS && this.#done < this.total) return;
      this.#shownMillis = now;
      return this.#draw();
    }
    const tenth = Math.floor((10 * this.#done) / this.total);
    if (tenth === this.#saidTenth && now - this.#shownMillis < LINE_MILLIS) return;
    this.#saidTenth = tenth;
    this.#shownMillis = now;
    this.stream.write(`${this.#describe()}\n`);
  }

  /** Says something meanwhile. */
  say(line: string): void {
    this.#erase();
    this.stream.write(`${line}\n`);
    this.#draw();
  }

  /** Leaves the bar's last state on the screen. May be called twice. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#erase();
    if (this.stream.isTTY) this.stream.write(`${this.#describe()}\n`);
  }

  #draw(): void {
    if (!this.stream.isTTY || this.#isStopped) return;
    const filled = Math.round((BAR_WIDTH * this.#done) / this.total);
    const bar = '█'.repeat(filled).padEnd(BAR_WIDTH, '░');
    // A line that wraps could not be taken back.
    this.stream.write(
      `\r${`${bar} ${this.#describe()}`.slice(0, this.stream.columns - 1)}\u001b[K`,
    );
  }

  #erase(): void {
    if (this.stream.isTTY) this.stream.write('\r\u001b[K');
  }

  #describe(): string {
    const seconds = (Date.now() - this.#startedMillis) / 1_000;
    const rate = this.#done / Math.max(seconds, 0.001);
    const left = Math.ceil((this.total - this.#done) / Math.max(rate, 0.001));
    const pace =
      this.#done === 0
        ? ''
        : this.#done < this.total
          ? `, ${rate.toFixed(1)}/s, about ${left} s left`
          : ` in ${seconds.toFixed(1)} s, ${rate.toFixed(1)}/s`;
    return `${this.title}: ${this.#done} of ${this.total}${pace}`;
  }
}
