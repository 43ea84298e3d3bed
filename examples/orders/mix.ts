import { createHash } from 'node:crypto';
import type { InputOf } from 'twinwrite';
import type { placeOrder } from './definition';
import type { StockItem } from './prepare';

export type OrderInput = InputOf<(typeof placeOrder)['input']>;

export interface Mix {
  readonly stock: readonly StockItem[];
  readonly orders: readonly OrderInput[];
}

const SEED = 20_261_121;
const COLOURS = ['white', 'black', 'red', 'green', 'blue'] as const;
const ARTICLES = ['kettle', 'teapot', 'mug', 'bowl', 'plate', 'pan', 'jug', 'tray'] as const;
/** There is one, and everybody but the first comes too late. */
const LIMITED = { sku: 'mug-signed', title: 'Signed mug', priceCents: '24900', available: 1 };
const MOST_OF_ONE = 3;

/**
 * Of every 25 orders: two that MongoDB refuses, two for what is soon sold out, one that the schema
 * refuses. The others are plain.
 */
const KINDS: Readonly<Record<number, 'longNote' | 'limited' | 'invalid'>> = {
  3: 'longNote',
  9: 'limited',
  14: 'longNote',
  18: 'invalid',
  21: 'limited',
};

/** The stock and the orders of one run. The mix is always the same; the ids are the run's own. */
export function planMix(run: string, count: number): Mix {
  const random = randomFrom(SEED);
  const articles = ARTICLES.flatMap((article) =>
    COLOURS.map((colour) => ({
      sku: `${article}-${colour}`,
      title: `${colour[0]?.toUpperCase()}${colour.slice(1)} ${article}`,
      priceCents: String(500 + Math.floor(random() * 9_500)),
      // Enough for everybody: only what is limited is ever sold out.
      available: MOST_OF_ONE * count,
    })),
  );
  const orders = Array.from({ length: count }, (_, index): OrderInput => {
    const article = articles[Math.floor(random() * articles.length)];
    const plain = {
      orderId: uuidOf(`${run}/${index}`),
      sku: article?.sku ?? '',
      quantity: 1 + Math.floor(random() * MOST_OF_ONE),
      ...(random() < 0.3 ? { giftNote: 'Happy birthday!' } : {}),
    };
    return vary(plain, index);
  });
  return { stock: [...articles, LIMITED], orders };
}

function vary(plain: OrderInput, index: number): OrderInput {
  switch (KINDS[index % 25]) {
    case 'longNote':
      // Good for the schema and for PostgreSQL, and more than MongoDB's rule allows.
      return { ...plain, giftNote: 'Many happy returns of the day! '.repeat(5) };
    case 'limited':
      return { ...plain, sku: LIMITED.sku, quantity: 1 };
    case 'invalid':
      return invalid(plain, Math.floor(index / 25));
    default:
      return plain;
  }
}

/** One mistake after the other. */
function invalid(plain: OrderInput, turn: number): OrderInput {
  const mistakes: readonly OrderInput[] = [
    { ...plain, quantity: 0 },
    { ...plain, quantity: 1.5 },
    { ...plain, orderId: `order-${turn}` },
  ];
  return mistakes[turn % mistakes.length] ?? plain;
}

function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  // Version 8 is the one for ids of one's own making.
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-');
}

/** Mulberry32, by Tommy Ettinger: small, and the same on every machine. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
