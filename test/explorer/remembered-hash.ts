import { type BinaryToTextEncoding, createHash } from 'node:crypto';

const digests = new Map<string, string>();

/** `createHash` of a text, computed once. */
export function rememberedHash(algorithm: string) {
  let text = '';
  const hash = {
    update: (more: string) => {
      text += more;
      return hash;
    },
    digest: (encoding: BinaryToTextEncoding) => {
      const key = `${algorithm} ${encoding} ${text}`;
      const digest = digests.get(key) ?? createHash(algorithm).update(text).digest(encoding);
      digests.set(key, digest);
      return digest;
    },
  };
  return hash;
}
