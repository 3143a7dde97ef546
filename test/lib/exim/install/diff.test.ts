import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { diffToInstalled } from '../../../../src/lib/exim/install/diff.ts';
import { run } from '../../../../src/lib/os/process.ts';
import { planExim } from '../../../../src/lib/exim/install/plan.ts';
import { replaceBlock } from '../../../../src/lib/exim/smart-hosts/smart-hosts-file.ts';
import { type TemporaryHome, temporaryHome } from '../../../support/environment.ts';
import { oauthAccount } from '../fixtures.ts';

describe('the difference that an installation makes', () => {
  let home: TemporaryHome;
  let smartHostsFile: string;
  let configFile: string;

  beforeEach(async () => {
    home = await temporaryHome();
    smartHostsFile = join(home.path, 'exim-smart-hosts');
    configFile = join(home.path, 'exim4.conf');
  });
  afterEach(() => home.remove());

  const plan = (...addresses: string[]) =>
    planExim(
      { smartHostsFile, defaultAddress: addresses[0] },
      { user: 'jane', hostName: 'laptop', accounts: addresses.map((each) => oauthAccount(each)), installed: undefined },
    );
  const shown = (...addresses: string[]): Promise<string> => diffToInstalled(plan(...addresses), run, configFile);

  it('is every line where nothing is there yet', async () => {
    const text = await shown('jane@example.org');
    assert.ok(text.startsWith(`--- ${configFile}\n+++ ${configFile} (new)\n@@ -0,0 +1,`), text);
    assert.ok(text.includes(`--- ${smartHostsFile}\n+++ ${smartHostsFile} (new)\n`));
    assert.match(text, /^\+jane@example\.org: .*user=jane@example\.org/m);
    assert.doesNotMatch(text, /^-(?!--)/m, 'and takes none away');
  });

  it('is nothing where all of it is there', async () => {
    const { config, block } = plan('jane@example.org');
    await writeFile(configFile, config);
    await writeFile(smartHostsFile, replaceBlock('# mine\nx: y\n', 'jane', block));
    assert.equal(await shown('jane@example.org'), '');
  });

  it('shows what is taken away, and leaves the lines of others alone', async () => {
    const { config, block } = plan('jane@example.org');
    await writeFile(configFile, `${config}# by hand\n`);
    await writeFile(smartHostsFile, replaceBlock('# mine\nx: y\n', 'jane', block));
    const text = await shown('jane@example.org', 'bob@example.org');
    assert.match(text, /^-# by hand$/m);
    assert.match(text, /^\+bob@example\.org: /m);
    assert.doesNotMatch(text, /^[-+].*(?:mine|x: y)/m);
  });

  it('fails with a sentence where diff does', async () => {
    const broken = () => Promise.resolve({ status: 2, stdout: '', stderr: 'diff: memory exhausted\n' });
    await assert.rejects(diffToInstalled(plan('jane@example.org'), broken, configFile), {
      code: 'io_error',
      message: `cannot compare with ${smartHostsFile}: diff: memory exhausted`,
    });
  });
});
