import assert from 'node:assert/strict';
import { format, inspect } from 'node:util';
import { Secret } from '../../../src/lib/core/secret.ts';

describe('a secret', () => {
  const text = 'ya29.CANARY-0123456789';

  it('is shown by none of the ways in which values get into texts', () => {
    for (const secret of [new Secret(text), new Secret(Buffer.from(text))]) {
      const holder = { deep: [{ secret }], map: new Map([['a', secret]]) };
      const ways = [
        String(secret),
        `a ${secret as unknown as string}`,
        'a ' + (secret as unknown as string),
        JSON.stringify(holder),
        inspect(holder, { depth: Infinity, showHidden: true, customInspect: true }),
        inspect(secret, { customInspect: false, showHidden: true, depth: Infinity }),
        format('%s %o %j %O', secret, secret, secret, secret),
        inspect(new Error('x', { cause: holder }), { depth: Infinity }),
        Object.values(secret).join(),
        [secret].join(),
      ];
      for (const way of ways) assert.doesNotMatch(way, /CANARY|434e4152|Q0FOQVJZ/i);
    }
  });

  it('is given to whoever asks for it', () => {
    assert.equal(new Secret(text).reveal(), text);
    assert.deepEqual(new Secret(Buffer.from(text)).reveal(), Buffer.from(text));
  });

  it('equals one that holds the same, whatever the lengths', () => {
    assert.equal(new Secret<string>(text).equals(new Secret<string>(text)), true);
    for (const other of ['', 'x', `${text}x`, text.toLowerCase()]) {
      assert.equal(new Secret<string>(text).equals(new Secret<string>(other)), false);
    }
  });
});
