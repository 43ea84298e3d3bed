/** Goal: what an operator is told to copy does what it says in a shell. */
import { execFileSync } from 'node:child_process';
import { expect, test } from '@jest/globals';
import { retryCommandOf } from '../../src/domain/retry-command';

test.each(['0198c1f2-7a51', 'a b', "it's", '$HOME `id` "x"', '--json', '日本', '*', 'a\\b'])(
  'the token %j reaches the command as it is',
  (token) => {
    const command = retryCommandOf('placeOrder', token);
    const shell = `twinwrite() { printf '%s\\0' "$@"; }; ${command}`;
    const words = execFileSync('/bin/sh', ['-c', shell], { encoding: 'utf8' }).split('\0');
    const expected = ['retry', 'placeOrder', token, ''];
    expect(words.filter((word) => word !== '--')).toEqual(expected);
    expect(words.includes('--')).toBe(token.startsWith('-'));
  },
);
