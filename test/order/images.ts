import type { ChangeStream, Collection, Document } from 'mongodb';
import { eventually } from '../support/eventually';
import type { World } from '../support/world';
import { type List, PROJECTED } from './lines';

/** One state that a reader of MongoDB may have seen. */
export interface SeenImage {
  readonly version: number;
  readonly tokens: readonly string[];
}

/** A tombstone, which a line has whose only update was taken back, has no tokens. */
interface ProjectedList extends Pick<List, '_id'>, Partial<Pick<List, 'tokens'>> {
  readonly _tw: { readonly version: number };
}

/** Follows the images of a line in MongoDB: every one that a majority ever had, in order. */
export class Images {
  readonly #following: Promise<void>;

  private constructor(
    private readonly stream: ChangeStream<ProjectedList>,
    readonly seen: SeenImage[],
  ) {
    this.#following = this.#follow();
  }

  static async of(world: World, line: string): Promise<Images> {
    const collection: Collection<ProjectedList> = world.mongo.db().collection(PROJECTED);
    const pipeline: Document[] = [{ $match: { 'documentKey._id': line } }];
    const stream = collection.watch<ProjectedList>(pipeline);
    // It begins with its first answer.
    await stream.tryNext();
    return new Images(stream, []);
  }

  /** Waits for the image of so many updates. */
  async reach(count: number): Promise<void> {
    await eventually(
      () => this.seen.at(-1)?.tokens.length === count || undefined,
      `the change stream tells of ${count} updates`,
    );
  }

  async close(): Promise<void> {
    await this.stream.close();
    await this.#following;
  }

  async #follow(): Promise<void> {
    try {
      for await (const change of this.stream) {
        if (change.operationType !== 'insert' && change.operationType !== 'replace') continue;
        const { _tw, tokens = [] } = change.fullDocument;
        this.seen.push({ version: _tw.version, tokens });
      }
    } catch (error) {
      if (!this.stream.closed) throw error;
    }
  }
}
