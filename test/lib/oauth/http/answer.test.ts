import assert from 'node:assert/strict';
import fc from 'fast-check';
import { readMembers } from '../../../../src/lib/oauth/http/answer.ts';

const read = (members: object): object | undefined => readMembers(JSON.stringify(members));

describe('an answer of a provider', () => {
  const text = '{"access_token":"at"}';
  for (const body of [
    text,
    `\ufeff${text}`,
    `\r\n\n\t ${text}\n`,
    `\ufeff\n${text}\0`,
    `)]}'\n${text}`,
    `)]}',\n${text}`,
    `while(1);${text}`,
    `for (;;); ${text}`,
    'access_token=at',
    'access_token=at\n',
  ]) {
    it(`is read from ${JSON.stringify(body.slice(0, 16))}`, () => {
      assert.deepEqual(readMembers(body), { access_token: 'at' });
    });
  }

  it('is nothing where there is no object', () => {
    for (const body of [
      '',
      '[]',
      '[{"access_token":"at"}]',
      'null',
      '"a"',
      '<html>',
      '{"a":',
      'x{"a":1}',
      'a=b',
      'state=1&x=y',
    ])
      assert.equal(readMembers(body), undefined, body);
  });

  it('has no members that say nothing', () => {
    assert.deepEqual(read({ access_token: 'at', id_token: null, refresh_token: '', scope: null, error: null, x: '' }), {
      access_token: 'at',
    });
  });

  it('has no text that is something else', () => {
    const names = [
      'access_token',
      'refresh_token',
      'id_token',
      'device_code',
      'user_code',
      'verification_uri_complete',
    ];
    for (const name of names)
      for (const value of [7, true, ['a'], { a: 1 }]) assert.deepEqual(read({ [name]: value }), {}, name);
  });

  for (const [value, seconds] of [
    [3599, 3599],
    ['3599', 3599],
    [' 3599 ', 3599],
    [3599.5, 3599],
    ['3599.0', 3599],
    ['3.6e3', 3600],
    [0, 0],
    [-1, 0],
    ['-1', 0],
    ['soon', undefined],
    ['', undefined],
    [null, undefined],
    [true, undefined],
    [[3599], undefined],
  ] as const) {
    it(`takes ${JSON.stringify(value)} for ${String(seconds)} seconds`, () => {
      for (const name of ['expires_in', 'refresh_token_expires_in', 'refresh_expires_in'])
        assert.deepEqual(read({ [name]: value }), seconds === undefined ? {} : { [name]: seconds });
    });
  }

  it('has no number that JSON cannot hold', () => {
    assert.deepEqual(readMembers('{"expires_in":1e999}'), { expires_in: Number.MAX_SAFE_INTEGER });
  });

  for (const [value, scope] of [
    ['a b', 'a b'],
    [' a\n b ', 'a b'],
    [['a', 'b'], 'a b'],
    [['a b', 'c'], 'a b c'],
    ['a,b', 'a b'],
    [[], undefined],
    [7, undefined],
    [{ a: true }, undefined],
  ] as const) {
    it(`takes ${JSON.stringify(value)} for the scope ${String(scope)}`, () => {
      assert.deepEqual(read({ scope: value }), scope === undefined ? {} : { scope });
    });
  }

  it('has an interval that a timer can hold, or none', () => {
    const intervals = [1, '1', 1.5, '2.5', 1e10, 0, -5, 'x', null].map(
      (interval) => (read({ interval }) as { interval?: number }).interval,
    );
    assert.deepEqual(intervals, [1, 1, 2, 3, 3600, undefined, undefined, undefined, undefined]);
  });

  it('has the device address and lifetime under the names of the standard', () => {
    assert.deepEqual(read({ device_code: 'd', verification_url: 'https://x/' }), {
      device_code: 'd',
      verification_url: 'https://x/',
      verification_uri: 'https://x/',
      expires_in: 600,
    });
  });

  it('keeps a type that is not one of a text, and one that is missing: both are judged elsewhere', () => {
    assert.deepEqual(read({ token_type: ' Bearer ' }), { token_type: 'Bearer' });
    assert.deepEqual(read({ token_type: 7 }), { token_type: 7 });
    assert.deepEqual(read({ token_type: null }), {});
  });

  it('is never thrown over', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (body) => {
        readMembers(body);
      }),
    );
  });
});
