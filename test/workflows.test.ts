/** What runs at GitHub, as far as it can be judged here. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';

const read = (file: string): string => readFileSync(new URL(`../${file}`, import.meta.url), 'utf8');

describe('the workflows', () => {
  const workflows = readdirSync(new URL('../.github/workflows/', import.meta.url)).map((name) => ({
    name,
    text: read(`.github/workflows/${name}`),
  }));

  for (const { name, text } of workflows) {
    it(`run what .ci/run runs, with actions of a major version: ${name}`, () => {
      assert.match(text, /^ +- run: \.ci\/run$/m);
      const actions = text.match(/uses: .*/g) ?? [];
      assert.ok(actions.length > 0);
      for (const action of actions) assert.match(action, /^uses: [\w-]+\/[\w-]+@v\d+$/);
    });
  }

  it('run on the oldest Node that the package takes, and on later ones', () => {
    const { engines } = JSON.parse(read('package.json')) as { engines: { node: string } };
    const [, versions = ''] = /node: \[([\d, ]+)\]/.exec(read('.github/workflows/ci.yml')) ?? [];
    const majors = versions.split(', ');
    assert.equal(majors[0], /\d+/.exec(engines.node)?.[0]);
    assert.ok(majors.length >= 3);
  });

  it('publish with provenance, and with no token that could be stolen', () => {
    const text = read('.github/workflows/release.yml');
    assert.match(text, /id-token: write[^]*npm publish --provenance/);
    assert.doesNotMatch(text, /secrets\.|NODE_AUTH_TOKEN|registry/);
  });
});

describe('the forms for issues', () => {
  const forms = readdirSync(new URL('../.github/ISSUE_TEMPLATE/', import.meta.url)).filter(
    (name) => name !== 'config.yml',
  );

  for (const form of forms) {
    it(`ask for the report of doctor: ${form}`, () => {
      assert.match(read(`.github/ISSUE_TEMPLATE/${form}`), /label: Output of cms doctor --report/);
    });
  }
});
