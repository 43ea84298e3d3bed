import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/**
 * Where a request meets its fault. Delivered means carried out: what follows waits for the server's
 * whole answer.
 */
export type Fault =
  /** The connection breaks before the server has seen the request. */
  | 'cut before delivery'
  /** The server has carried the request out, and nobody hears of it. */
  | 'cut before the answer'
  /** The request stays in the network until `release`, even when its sender is gone. */
  | 'hold before delivery'
  /** The answer stays in the network until `release`. */
  | 'hold the answer'
  /** Just before the request a statement of the test's own fails the transaction. */
  | 'fail the transaction first';

interface FaultPlan {
  /**
   * Met by a request's transcript: what its transaction has asked so far, values included, and then
   * the request itself. So `/settle.*u1.*; commit$/` is the COMMIT that settles u1.
   */
  readonly request: RegExp;
  readonly fault: Fault;
  /** How many requests meet it; 1 unless given. */
  readonly times?: number;
}

/** How often a plan was met, and so whether its test tested anything. */
export interface Met {
  readonly times: number;
}

export interface FaultProxy {
  readonly port: number;
  plan(plan: FaultPlan): Met;
  /** Lets go of everything held. */
  release(): void;
  close(): Promise<void>;
}

/** What the proxy must understand of a wire protocol; one for each proxy. */
export interface Protocol {
  /** The length of the first frame in the buffer, or nothing when that is not known yet. */
  frameLength(buffer: Buffer, isFirstOfConnection: boolean): number | undefined;
  /** The request's transcript, or nothing when no fault can meet it. */
  transcribe(request: Buffer, connection: object): string | undefined;
  /** Whether a frame from the server ends the answer to the request. */
  endsAnswer(frame: Buffer, request: Buffer): boolean;
  /** A request that fails whatever transaction it is in. */
  readonly failing?: Buffer;
}

interface Target {
  readonly host: string;
  readonly port: number;
}

/** A server's address where single requests can be lost, held, or carried out unheard. */
export async function startFaultProxy(target: Target, protocol: Protocol): Promise<FaultProxy> {
  const links = new Set<Link>();
  const faults = new Faults();
  const server = createServer((near) => {
    const link = new Link(near, connect(target.port, target.host), protocol, faults);
    links.add(link);
    link.closed.then(
      () => links.delete(link),
      () => {},
    );
  });
  await listen(server);
  return {
    port: (server.address() as AddressInfo).port,
    plan: (plan) => faults.add(plan),
    release: () => {
      for (const link of links) link.release();
    },
    close: () =>
      new Promise((resolve) => {
        for (const link of links) link.cut();
        server.close(() => resolve());
      }),
  };
}

class Faults {
  readonly #planned: { readonly plan: FaultPlan; readonly met: { times: number } }[] = [];

  add(plan: FaultPlan): Met {
    const met = { times: 0 };
    this.#planned.push({ plan, met });
    return met;
  }

  take(transcript: string | undefined): FaultPlan | undefined {
    if (transcript === undefined) return undefined;
    const found = this.#planned.find(
      ({ plan, met }) => met.times < (plan.times ?? 1) && plan.request.test(transcript),
    );
    if (found === undefined) return undefined;
    found.met.times += 1;
    return found.plan;
  }
}

/** One connection through the proxy, frame by frame. */
class Link {
  readonly closed: Promise<void>;
  #isFirst = true;
  #fault: { readonly plan: FaultPlan; readonly request: Buffer } | undefined;
  /** Frames to the server that wait: the request that is held and whatever came after it. */
  #waiting: Buffer[] | undefined;
  /** Bytes to the client that wait, or are dropped when the connection is cut. */
  #answer: Buffer[] | undefined;
  #isDropping = false;

  constructor(
    private readonly near: Socket,
    private readonly far: Socket,
    private readonly protocol: Protocol,
    private readonly faults: Faults,
  ) {
    onFrames(near, (buffer) => this.#lengthOfRequest(buffer), this.#onRequest.bind(this));
    onFrames(far, (buffer) => protocol.frameLength(buffer, false), this.#onAnswer.bind(this));
    for (const socket of [near, far]) {
      socket.on('error', () => {});
      // Frames go out one by one; each would wait for the other end to acknowledge the last.
      socket.setNoDelay(true);
    }
    near.on('close', () => {
      // What is held outlives its sender, as a packet in the network does.
      if (this.#waiting === undefined) far.destroy();
    });
    far.on('close', () => near.destroy());
    this.closed = new Promise((resolve) => {
      far.once('close', resolve);
    });
  }

  cut(): void {
    this.near.destroy();
    this.far.destroy();
  }

  release(): void {
    const [waiting, answer] = [this.#waiting, this.#answer];
    [this.#waiting, this.#answer, this.#fault] = [undefined, undefined, undefined];
    for (const frame of waiting ?? []) this.far.write(frame);
    for (const frame of answer ?? []) this.near.write(frame);
    if (waiting !== undefined && this.near.destroyed) this.far.end();
  }

  #lengthOfRequest(buffer: Buffer): number | undefined {
    const length = this.protocol.frameLength(buffer, this.#isFirst);
    if (length !== undefined && buffer.length >= length) this.#isFirst = false;
    return length;
  }

  #onRequest(frame: Buffer): void {
    const transcript = this.protocol.transcribe(frame, this);
    if (this.#waiting !== undefined) {
      this.#waiting.push(frame);
      return;
    }
    const plan = this.#fault === undefined ? this.faults.take(transcript) : undefined;
    if (plan === undefined) {
      this.far.write(frame);
      return;
    }
    this.#fault = { plan, request: frame };
    this.#meet(plan, frame);
  }

  #meet({ fault }: FaultPlan, frame: Buffer): void {
    switch (fault) {
      case 'cut before delivery':
        this.cut();
        break;
      case 'hold before delivery':
        this.#waiting = [frame];
        break;
      case 'fail the transaction first':
        this.#isDropping = true;
        this.#waiting = [frame];
        this.far.write(this.protocol.failing ?? '');
        break;
      default:
        this.#answer = [];
        this.far.write(frame);
    }
  }

  #onAnswer(frame: Buffer): void {
    const met = this.#fault;
    if (met === undefined || (this.#answer === undefined && !this.#isDropping)) {
      this.near.write(frame);
      return;
    }
    const isEnd = this.protocol.endsAnswer(frame, met.request);
    if (this.#isDropping) {
      if (isEnd) this.#goOn();
      return;
    }
    this.#answer?.push(frame);
    if (isEnd && met.plan.fault === 'cut before the answer') this.cut();
  }

  /** The test's own request is answered: now comes the one that it stood before, unharmed. */
  #goOn(): void {
    this.#isDropping = false;
    this.release();
  }
}

function onFrames(
  socket: Socket,
  lengthOf: (buffer: Buffer) => number | undefined,
  onFrame: (frame: Buffer) => void,
): void {
  let buffer: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    buffer = Buffer.concat([buffer, chunk]);
    for (;;) {
      const length = lengthOf(buffer);
      if (length === undefined || buffer.length < length) return;
      const frame = buffer.subarray(0, length);
      buffer = buffer.subarray(length);
      onFrame(frame);
    }
  });
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
}
