import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { type Installation, renderInstallScript } from '../../../../src/lib/exim/install/install-script.ts';
import { noteOf, planExim } from '../../../../src/lib/exim/install/plan.ts';
import { socketChange } from '../../../../src/lib/exim/install/socket-config.ts';
import { oauthAccount } from '../fixtures.ts';

function installation(change: Partial<Installation> = {}): Installation {
  const plan = planExim(
    { defaultAddress: 'jane@example.org' },
    { user: 'jane', hostName: 'laptop', accounts: [oauthAccount('jane@example.org')], installed: undefined },
  );
  return {
    ...plan,
    smartHostsFile: plan.options.smartHostsFile,
    paths: { configDir: '/home/jane/.config/cms', configFile: '/home/jane/.config/cms/config.toml' },
    socketAddition: socketChange('', { path: plan.socket, passwords: false }).addition,
    note: noteOf(plan),
    ...change,
  };
}

function syntaxError(script: string): string {
  return spawnSync('sh', ['-n'], { input: script, encoding: 'utf8' }).stderr;
}

describe('the install script', () => {
  it('is plain sh', () => {
    assert.equal(syntaxError(renderInstallScript(installation())), '');
  });

  it('is so for a home with blanks and quotes in its name', () => {
    const configDir = '/home/o\'neil $(id) "x"/cms';
    assert.equal(syntaxError(renderInstallScript(installation({ keepsDefault: true }))), '');
    const script = renderInstallScript(installation({ paths: { configDir, configFile: `${configDir}/config.toml` } }));
    assert.equal(syntaxError(script), '');
    assert.ok(script.includes(`'/home/o'\\''neil $(id) "x"/cms/config.toml'`));
  });

  it('judges before it replaces', () => {
    const script = renderInstallScript(installation());
    assert.ok(script.indexOf('-C "$work/conf" -bV') < script.indexOf('put "$work/conf"'));
  });

  it('makes the folder of the usual socket only', () => {
    assert.match(renderInstallScript(installation()), /^d \/run\/cms\/jane 2750 jane Debian-exim -$/m);
    assert.doesNotMatch(renderInstallScript(installation({ socket: '/srv/exim.sock' })), /tmpfiles/);
  });

  it('leaves config.toml alone when the socket stands there', () => {
    assert.doesNotMatch(renderInstallScript(installation({ socketAddition: undefined })), /config\.toml/);
  });

  for (const change of [
    { config: 'a\nCMS_END_OF_FILE\nrm -rf /\n' },
    { block: 'x\nCMS_END_OF_FILE\n' },
    { socketAddition: 'CMS_END_OF_FILE\n' },
    { config: 'no newline' },
    { config: 'a\0\n' },
    { block: 'a\r\n' },
  ]) {
    it(`refuses the text ${JSON.stringify(change)}, which would end its here-document or mangle it`, () => {
      assert.throws(() => renderInstallScript(installation(change)), { code: 'data_invalid' });
    });
  }

  it('refuses a user name that is none', () => {
    assert.throws(() => renderInstallScript(installation({ user: 'jane; id' })), { code: 'config_invalid' });
  });
});
