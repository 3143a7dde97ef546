import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { PAGE, renderTroubleshooting } from '../../../scripts/troubleshooting.ts';
import { CATALOGUE } from '../../../src/lib/explain/explain.ts';

describe('docs/troubleshooting.md', () => {
  it('is what the generator prints', async () => {
    assert.equal(readFileSync(PAGE, 'utf8'), await renderTroubleshooting(), 'npm run docs:generate writes it anew');
  });

  it('holds every entry of the catalogue once', async () => {
    const page = await renderTroubleshooting();
    const sections = page.match(/^### /gm)?.length;
    assert.equal(sections, CATALOGUE.length);
    for (const { example } of CATALOGUE) assert.ok(page.includes(`\`${example}\``), example);
    assert.doesNotMatch(page, /\{[a-z_]+\}/);
  });
});
