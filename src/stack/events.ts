import type { ServerName } from './errors';

/** Where a server comes from: named by the environment, found on this machine, or fetched. */
export type ServerSource = 'given' | 'installed' | 'downloaded' | 'built';

/**
 * What happens to one server while the stack starts, as data. The three servers start at the same
 * time, so events of different servers interleave; those of one server come in order.
 */
export type StackEvent =
  | { readonly server: ServerName; readonly phase: 'looking' }
  /** A source did not work out, and the next one is tried. */
  | {
      readonly server: ServerName;
      readonly phase: 'skipped';
      readonly source: string;
      readonly reason: string;
    }
  /** Another process is fetching the same thing; its result is shared. */
  | { readonly server: ServerName; readonly phase: 'waiting'; readonly processId: number }
  /** `done` and `total` are bytes; `total` is missing while it is unknown. */
  | {
      readonly server: ServerName;
      readonly phase: 'downloading';
      readonly source: string;
      readonly done: number;
      readonly total?: number;
    }
  /** `done` and `total` are packages of the compiler; with a warm cache fewer are built. */
  | {
      readonly server: ServerName;
      readonly phase: 'building';
      readonly source: string;
      readonly done: number;
      readonly total: number;
    }
  | { readonly server: ServerName; readonly phase: 'starting'; readonly version: string }
  | {
      readonly server: ServerName;
      readonly phase: 'ready';
      readonly version: string;
      readonly source: ServerSource;
      readonly url: string;
      readonly webUrl?: string;
    };

/** Is told what happens while the stack starts. It must not throw. */
export type StackProgress = (event: StackEvent) => void;
