import assert from 'node:assert/strict';
import { duplicateFunctions } from '../../scripts/duplicate-functions.ts';

const BODY = `{
  // Why
  const words = text.trim().split(' ').filter((word) => word !== '');
  return words.map((word) => word.toLowerCase()).join('-');
}`;

describe('the check for duplicate functions', () => {
  const found = (...texts: string[]) =>
    duplicateFunctions(new Map(texts.map((text, index) => [`${index}.ts`, text]))).map((places) =>
      places.map(({ file, name, line }) => `${file}:${line} ${name}`),
    );

  it('finds a body again under another name, without its comments and blanks', () => {
    const arrow = `\nexport const slug = (text: string) => ${BODY.replace('// Why', '').replaceAll('\n', ' ')};`;
    assert.deepEqual(found(`function dashed(text: string): string ${BODY}`, arrow), [['0.ts:1 dashed', '1.ts:2 slug']]);
  });

  it('leaves alone what differs, what is short, and what one file has twice', () => {
    assert.deepEqual(found(`function a(text) ${BODY}`, `function b(words) ${BODY}`), []);
    assert.deepEqual(found('const a = () => 1;', 'const b = () => 1;'), []);
    assert.deepEqual(found(`function a(text) ${BODY}\nfunction b(text) ${BODY}`), []);
  });
});
