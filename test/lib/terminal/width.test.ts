import assert from 'node:assert/strict';
import fc from 'fast-check';
import { columnsOf, displayWidth, padTo, printable, wrap } from '../../../src/lib/terminal/width.ts';

describe('the width of text', () => {
  it('counts columns, not characters', () => {
    assert.deepEqual(['abc', '郵便', 'e\u0301', '\x1b[31mab\x1b[39m', ''].map(displayWidth), [3, 4, 1, 2, 0]);
    assert.equal(padTo('郵便', 6), '郵便  ');
    assert.equal(padTo('too long', 3), 'too long');
  });

  it('is kept by wrapping, which loses nothing and parts no number from its unit', () => {
    assert.equal(wrap('refreshed by itself 12 min ago', 23), 'refreshed by itself\n  12 min ago');
    const words = fc.array(fc.stringMatching(/^[a-z]{1,15}$/), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(words, fc.integer({ min: 30, max: 90 }), (list, columns) => {
        const text = wrap(list.join(' '), columns);
        assert.deepEqual(text.split(/\s+/), list);
        for (const line of text.split('\n')) assert.ok(displayWidth(line) <= columns);
      }),
    );
  });

  it('fills the first line, which is not indented, as well', () => {
    assert.equal(wrap('  ok  one two three four five six', 26, '      '), '  ok  one two three four\n      five six');
    const coloured = '  \x1b[32mok\x1b[39m  one two three four five six';
    assert.equal(wrap(coloured, 26, '      '), '  \x1b[32mok\x1b[39m  one two three four\n      five six');
  });

  it('leaves no row empty before a word that is too long for any', () => {
    assert.equal(
      wrap('nobody answers at /run/user/1000/cms/cms.sock', 24),
      'nobody answers at\n  /run/user/1000/cms/cms.sock',
    );
  });

  it('is 80 columns where a terminal does not tell', () => {
    assert.deepEqual([{ columns: 0 }, { columns: 132 }].map(columnsOf), [80, 132]);
  });

  it('is not limited where there is no terminal', () => {
    assert.equal(wrap('x '.repeat(500), Infinity), 'x '.repeat(500));
  });

  it('is never changed by what it is', () => {
    assert.equal(printable('a\x1b[2Jb\u202ec\u0085郵'), 'a?[2Jb?c?郵');
  });
});
