import type { Steps } from '../domain/update-request';

/** A call with which a driver changes a store, as a check may cut it. */
export interface StoreCall {
  readonly store: 'PostgreSQL' | 'MongoDB';
  /**
   * `statement`: inside a transaction, so that nothing of it stands yet. `commit`: ends one.
   * `write`: stands by itself, as a projection's document does.
   */
  readonly kind: 'statement' | 'commit' | 'write';
  /** The beginning of its text, for people. */
  readonly label: string;
}

/** One that was made, and the step that made it. */
export interface MadeCall extends StoreCall {
  readonly step: keyof Steps;
  /** The store has answered, and with no error. */
  hasPassed: boolean;
}

/** Where a drive is cut, by the number of the call. */
export interface Cut {
  readonly call: number;
  readonly when: 'before' | 'after';
  /**
   * `death`: this driver does nothing any more. `breakage`: the connection breaks, the driver lives
   * and tries again.
   */
  readonly how: 'death' | 'breakage';
  /** Looks at the stores once this earlier call has passed. */
  readonly watch?: { readonly call: number; readonly look: () => Promise<void> };
}

/** What stands for the end of a process: nobody is told of it, since nobody is there. */
class DeathError extends Error {
  override readonly name = 'DeathError';

  constructor() {
    super('this driver was cut down by the check');
  }
}

/** The calls of one driver, in order; at one of them it may be cut. */
export class StoreCalls {
  readonly made: MadeCall[] = [];
  /** The step that the driver is in. */
  step: keyof Steps = 'applyPostgres';
  #isDead = false;
  #commits = 0;

  constructor(private readonly cut?: Cut) {}

  /** Its driver does nothing any more: no step of it is tried again. */
  get isDead(): boolean {
    return this.#isDead;
  }

  /** How many transactions were committed, whether or not the driver learnt of it. */
  get commits(): number {
    return this.#commits;
  }

  /** Runs a call, unless it is cut before; what it answers is lost when it is cut after. */
  async pass<Answer>(
    call: StoreCall,
    run: () => Promise<Answer>,
    breakConnection: () => Promise<Error>,
  ): Promise<Answer> {
    const made = { ...call, step: this.step, hasPassed: false };
    const index = this.made.push(made) - 1;
    const cut = this.cut?.call === index ? this.cut : undefined;
    if (cut?.when === 'before') throw await this.#end(cut, breakConnection);
    const answer = await run();
    made.hasPassed = true;
    if (call.kind === 'commit') this.#commits += 1;
    if (this.cut?.watch?.call === index) await this.cut.watch.look();
    if (cut?.when === 'after') throw await this.#end(cut, breakConnection);
    return answer;
  }

  async #end(cut: Cut, breakConnection: () => Promise<Error>): Promise<Error> {
    if (cut.how === 'breakage') return await breakConnection();
    this.#isDead = true;
    return new DeathError();
  }
}

const MAX_LABEL_CHARACTERS = 60;

/** The beginning of a statement in one line. */
export function labelOf(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length <= MAX_LABEL_CHARACTERS ? line : `${line.slice(0, MAX_LABEL_CHARACTERS)}…`;
}
