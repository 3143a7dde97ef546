import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { systemArgv } from '../../../src/lib/service/as-system.ts';
import { renderSystemInstall, renderSystemUninstall } from '../../../src/lib/service/system-script.ts';
import { alternatives } from '../../../src/lib/service/without-systemd.ts';
import { PROGRAM } from './fixtures.ts';

const syntaxError = (script: string): string => spawnSync('sh', ['-n'], { input: script, encoding: 'utf8' }).stderr;

describe('the scripts of the system', () => {
  const install = renderSystemInstall({ program: PROGRAM, credential: true, now: true });

  it('are plain sh', () => {
    assert.equal(syntaxError(install), '');
    assert.equal(syntaxError(renderSystemUninstall()), '');
    assert.equal(syntaxError(systemArgv([], PROGRAM, 0)[2] ?? ''), '');
  });

  it('keep the key that seals the accounts, at installation and afterwards', () => {
    assert.match(install, /if \[ ! -e \/etc\/cms\/cms-vault-key\.cred \]; then/);
    assert.doesNotMatch(renderSystemUninstall(), /rm .*(\/etc\/cms|\/var\/lib\/cms)/);
  });

  it('never have the key in a file in clear', () => {
    assert.match(install, /\/dev\/urandom \| systemd-creds encrypt /);
    assert.doesNotMatch(renderSystemInstall({ program: PROGRAM, credential: false, now: true }), /urandom|credential=/);
  });

  it('start the service only when asked to', () => {
    assert.match(install, /^systemctl stop \$units\nsystemctl start \$units$/m, 'no socket starts beside its service');
    assert.doesNotMatch(
      renderSystemInstall({ program: PROGRAM, credential: true, now: false }),
      /(stop|start) \$units/,
    );
  });

  it('are refused for a program of one person', () => {
    const program = { ...PROGRAM, node: '/home/jane/.nvm/versions/node/v22/bin/node' };
    assert.throws(() => renderSystemInstall({ program, credential: true, now: true }), { code: 'config_invalid' });
  });
});

describe('a command on the accounts of the system', () => {
  it('needs sudo unless root calls it, and keeps its words', () => {
    const words = ['account', 'add', "o'neil@example.org", '--yes'];
    assert.deepEqual(systemArgv(words, PROGRAM, 0).slice(-6), [PROGRAM.node, PROGRAM.script, ...words]);
    assert.equal(systemArgv(words, PROGRAM, 0)[0], 'sh');
    assert.equal(systemArgv(words, PROGRAM, 1000)[0], 'sudo');
  });
});

describe('without systemd', () => {
  it('there is a line for cron, in which a % is no newline, and scripts that are sh', () => {
    const program = { node: '/opt/100%/node', script: '/opt/o neil/run.js' };
    const [cron, openrc, runit] = alternatives(program, 'jane', 'linux').map(({ text }) => text);
    assert.ok(cron?.includes("/opt/100\\%/node '/opt/o neil/run.js' serve"), cron);
    for (const script of [openrc, runit]) assert.equal(syntaxError(script ?? ''), '');
    assert.match(runit ?? '', /chpst -u jane /);
  });

  it('macOS has launchd', () => {
    const [launchd] = alternatives({ node: '/a&b/node', script: '/x<y.js' }, 'jane', 'darwin');
    assert.match(launchd?.title ?? '', /launchd \(not tested\)/);
    assert.match(launchd?.text ?? '', /<string>\/a&amp;b\/node<\/string>\n\s*<string>\/x&lt;y\.js</);
  });
});
