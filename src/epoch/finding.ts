import type { Client } from '@temporalio/client';
import type { MongoClient } from 'mongodb';
import type { Pool } from 'pg';
import type { AnyCrossStoreUpdate } from '../domain/definition';
import type { Projection } from '../domain/projection';

/** What a repair found, and what became of it or, in a dry run, would. */
export type Finding = DocumentFinding | UpdateFinding;

export interface DocumentFinding {
  readonly what: 'document';
  readonly collection: string;
  readonly id: string;
  /** `ahead`: PostgreSQL has lost what this document shows. `behind`: MongoDB has lost it. */
  readonly found: 'ahead' | 'behind';
  /** It has PostgreSQL's image now, or, where PostgreSQL has no such row, is a tombstone. */
  readonly end: 'projected' | 'tombstoned' | 'needs somebody';
  readonly reason?: string;
}

export interface UpdateFinding {
  readonly what: 'update';
  readonly definition: string;
  readonly token: string;
  /**
   * `lost in PostgreSQL`: it was applied, and PostgreSQL does not know it. `unsettled in
   * PostgreSQL`: its workflow has ended, and PostgreSQL has it open. `lost in MongoDB`: MongoDB's
   * ledger lacks what PostgreSQL has settled.
   */
  readonly found:
    | 'lost in PostgreSQL'
    | 'unsettled in PostgreSQL'
    | 'lost in MongoDB'
    | 'disagreed';
  /**
   * `started again`: a new run of its workflow, with the input of the last one. `driven again`: its
   * MongoDB leg, with the input in PostgreSQL's ledger.
   */
  readonly end: 'started again' | 'driven again' | 'goes on' | 'needs somebody';
  readonly reason?: string;
}

export interface RepairedStores {
  readonly postgres: Pool;
  readonly mongo: MongoClient;
}

export interface Repair extends RepairedStores {
  readonly updates: readonly AnyCrossStoreUpdate[];
  readonly projections: readonly Projection[];
  /** Nothing where Temporal is not to be asked: what only it knows is then for somebody. */
  readonly temporal: WorkersOfStores | undefined;
  /** Looks, and changes nothing. */
  readonly isDryRun: boolean;
  readonly report: (finding: Finding) => void;
}

export interface WorkersOfStores {
  readonly client: Client;
  /**
   * All queues of the workers of these stores, and none of others: a namespace may be shared with
   * applications that have stores of their own.
   */
  readonly taskQueues: readonly string[];
}

/** So many rows or documents are compared at once. */
export const BATCH = 500;
