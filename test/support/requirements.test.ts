import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './processes.ts';
import { summaryOf } from './requirements.ts';

const HERE = dirname(fileURLToPath(import.meta.url));
const MOCHA = createRequire(import.meta.url).resolve('mocha/bin/mocha.js');

/** A machine without socat and exim4 for a suite that wants them: a PATH with node alone cannot hide what is in sbin. */
const SUITE = `
import { requires } from ${JSON.stringify(join(HERE, 'requirements.ts'))};
Object.assign(globalThis, { [Symbol.for('cms.test.requirements')]: new Map([['socat', false], ['exim4', false]]) });
describe('mail', function () {
  requires(this, 'exim4');
  it('is sent', () => { throw new Error('must not run'); });
  describe('queue', () => { it('is empty', () => { throw new Error('must not run'); }); });
});
it('speaks', function () { requires(this, 'socat', 'exim4'); throw new Error('must not run'); });
it('is there', () => {});
`;

describe('what a test needs of the machine', () => {
  let folder: string;

  beforeEach(async () => {
    // Inside the project, since the suite is loaded through its tsx.
    folder = await mkdtemp(join(HERE, '.requirements-'));
    await writeFile(join(folder, 'suite.ts'), SUITE);
  });
  afterEach(() => rm(folder, { recursive: true }));

  function mocha(env: Record<string, string>, ...flags: string[]) {
    const suite = join(folder, 'suite.ts');
    const hooks = ['--require', join(HERE, 'hooks.ts')];
    const args = [MOCHA, '--no-config', '--node-option', 'import=tsx', ...hooks, ...flags, suite];
    return run(process.execPath, args, { env: { PATH: process.env.PATH, ...env }, timeoutMs: 18_000 });
  }

  for (const flags of [['--no-parallel'], ['--parallel', '--jobs', '2']]) {
    it(`is left out and named at the end with the command that installs it: ${flags[0]}`, async () => {
      const { status, stdout, stderr } = await mocha({}, ...flags);
      assert.equal(status, 0, stdout + stderr);
      assert.match(stdout, /1 passing[^]*3 pending/);
      assert.match(stderr, /3 tests were left out:/);
      for (const title of ['mail is sent', 'mail queue is empty']) assert.ok(stderr.includes(`${title} (needs exim4)`));
      assert.ok(stderr.includes('speaks (needs socat, exim4)'));
      assert.match(stderr, /apt-get install exim4-daemon-light socat$/m);
    });

    it(`fails instead where everything is required: ${flags[0]}`, async () => {
      const { status, stdout } = await mocha({ CMS_E2E: 'required' }, ...flags);
      assert.notEqual(status, 0);
      assert.match(stdout, /missing: exim4 \(apt-get install exim4-daemon-light\)/);
    });

    it(`fails for any test that did not run where everything is required: ${flags[0]}`, async () => {
      await writeFile(join(folder, 'suite.ts'), "it('is there', () => {});\nit('is to come');\n");
      const strict = await mocha({ CMS_E2E: 'required' }, ...flags);
      assert.notEqual(strict.status, 0);
      assert.match(strict.stdout, /1 tests did not run:\s+- is to come/);
      assert.equal((await mocha({}, ...flags)).status, 0);
    });
  }

  it('has nothing to say when nothing was left out', () => {
    assert.equal(summaryOf([]), undefined);
  });
});
