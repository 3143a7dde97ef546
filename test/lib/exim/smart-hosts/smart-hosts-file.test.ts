import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  entryFor,
  fieldsOf,
  findBlock,
  markersOf,
  parseEntries,
  replaceBlock,
  nameOfOthers,
} from '../../../../src/lib/exim/smart-hosts/smart-hosts-file.ts';

const block = (...lines: string[]): string => ['# BEGIN cms jane', ...lines, '# END cms jane', ''].join('\n');

/** Lines as bytes, without our own markers. */
const foreignLine = fc
  .array(
    fc.integer({ min: 1, max: 255 }).filter((byte) => byte !== 10),
    { maxLength: 30 },
  )
  .map((bytes) => Buffer.from(bytes).toString('latin1'))
  .filter((line) => line !== '# BEGIN cms jane');
const foreign = fc.array(fc.oneof(foreignLine, fc.constantFrom('', '# END cms jane', '# BEGIN cms bob', ' indented')));
const asText = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');

describe('the block of cms in the smart-hosts file', () => {
  it('is added at the end, after a last line without its newline', () => {
    assert.equal(replaceBlock('', 'jane', block('x: y')), block('x: y'));
    assert.equal(replaceBlock('a: b', 'jane', block('x: y')), `a: b\n${block('x: y')}`);
  });

  it('is replaced where it stands', () => {
    const before = `a: b\n${block('old: 1', 'old: 2')}c: d\n`;
    assert.equal(replaceBlock(before, 'jane', block('new: 1')), `a: b\n${block('new: 1')}c: d\n`);
  });

  it('leaves the blocks of other users alone', () => {
    const bob = '# BEGIN cms bob\nb: 1\n# END cms bob\n';
    assert.equal(replaceBlock(`${bob}${block('x: 1')}`, 'jane', block('x: 2')), `${bob}${block('x: 2')}`);
  });

  it('becomes one where there were two', () => {
    assert.equal(
      replaceBlock(`${block('x: 1')}a: b\n${block('y: 1')}`, 'jane', block('z: 1')),
      `${block('z: 1')}a: b\n`,
    );
  });

  it('is refused without its end, because nobody can tell then what is ours', () => {
    assert.throws(() => replaceBlock('# BEGIN cms jane\nx: 1\n', 'jane', block()), { code: 'config_invalid' });
  });

  it('keeps every foreign line byte for byte', () => {
    fc.assert(
      fc.property(foreign, foreign, fc.boolean(), (before, after, present) => {
        const text = present ? `${asText(before)}${block('old: 1')}${asText(after)}` : asText([...before, ...after]);
        const expected = present
          ? `${asText(before)}${block('new: 1')}${asText(after)}`
          : `${asText([...before, ...after])}${block('new: 1')}`;
        const changed = replaceBlock(text, 'jane', block('new: 1'));
        assert.equal(changed, expected);
        assert.equal(replaceBlock(changed, 'jane', block('new: 1')), changed, 'a second time changes nothing');
      }),
    );
  });

  it('is found again', () => {
    assert.equal(findBlock(`a: b\n${block('x: 1')}c: d\n`, 'jane'), block('x: 1'));
    assert.equal(findBlock('a: b\n', 'jane'), undefined);
  });

  it('has markers only for names that can stand in them', () => {
    assert.equal(markersOf('jane').begin, '# BEGIN cms jane');
    for (const name of ['', 'a b', 'a\nb', "a'b", '-a', '$a', '../a']) {
      assert.throws(() => markersOf(name), { code: 'config_invalid' });
    }
  });
});

describe('entries of an lsearch file', () => {
  const text = [
    '# comment',
    'Domain.com: host=smtp.office365.com::587 helo=cms user=user@domain.com oauth=/home/XX/mail/.cms/exim/unix',
    'spaced   host=a user=b',
    'jane@domain.com: host=b::465',
    '  password="a \\"b\\" c"',
    '',
    '*: host=c',
  ].join('\n');

  it('are read with comments, continuation lines and quotes', () => {
    const entries = parseEntries(text);
    assert.deepEqual(
      entries.map(({ key }) => key),
      ['domain.com', 'spaced', 'jane@domain.com', '*'],
    );
    assert.equal(fieldsOf(entries[2]!).get('password'), 'a "b" c');
    assert.equal(fieldsOf(entries[0]!).get('oauth'), '/home/XX/mail/.cms/exim/unix');
  });

  it('are chosen by address, by domain, then *', () => {
    const chosen = (sender: string) => entryFor(parseEntries(text), sender)?.key;
    assert.equal(chosen('JANE@domain.com'), 'jane@domain.com');
    assert.equal(chosen('bob@domain.com'), 'domain.com');
    assert.equal(chosen('bob@elsewhere.example'), '*');
    assert.equal(chosen(''), '*');
    assert.equal(entryFor(parseEntries('a: b'), 'x@y.z'), undefined);
  });
});

describe('the blocks of two users', () => {
  const file = (...mine: string[]): string =>
    [
      '# BEGIN cms bob',
      'bob@b.test: host=b::587 user=login@b.test account=shared@b.test oauth=/run/cms/bob/exim.sock',
      '*: host=b::587 user=bob@b.test oauth=/run/cms/bob/exim.sock',
      '# END cms bob',
      'hand@b.test: host=h::587 user=u password=p',
      '# BEGIN cms jane',
      ...mine,
      '# END cms jane',
      '',
    ].join('\n');

  for (const [line, name] of [
    ['x@a.test: host=a::587 user=a account=bob@b.test oauth=/s', 'bob@b.test'],
    ['x@a.test: host=a::587 user=BOB@b.test oauth=/s', 'bob@b.test'],
    ['x@a.test: host=a::587 user=shared@b.test oauth=/s', 'shared@b.test'],
    ['BOB@b.test: host=a::587 user=a oauth=/s', 'bob@b.test'],
    ['*: host=a::587 user=a account=shared@b.test oauth=/s', 'shared@b.test'],
    ['hand@b.test: host=a::587 user=a oauth=/s', undefined],
    ['*: host=a::587 user=login@b.test account=jane@a.test oauth=/s', undefined],
  ] as const) {
    it(`are told apart: ${line}`, () => {
      assert.equal(nameOfOthers(file(line), 'jane'), name && `${name} is in the block of bob`);
    });
  }
});
