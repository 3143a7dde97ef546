import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { systemArgv, systemCommand } from '../../../src/lib/service/as-system.ts';
import { asTyped, SYSTEM } from '../../../src/lib/service/system.ts';
import { renderSystemInstall, renderSystemUninstall } from '../../../src/lib/service/system-script.ts';
import { alternatives } from '../../../src/lib/service/without-systemd.ts';
import { PROGRAM } from './fixtures.ts';

const syntaxError = (script: string): string => spawnSync('sh', ['-n'], { input: script, encoding: 'utf8' }).stderr;

describe('the scripts of the system', () => {
  const install = renderSystemInstall({ program: PROGRAM, credential: true, now: true });

  it('are plain sh', () => {
    assert.equal(syntaxError(install), '');
    assert.equal(syntaxError(renderSystemUninstall()), '');
    assert.equal(syntaxError(systemArgv(systemCommand([], '/'), PROGRAM, { uid: 0 })[2] ?? ''), '');
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
    const command = systemCommand(words, '/home/jane');
    assert.deepEqual(systemArgv(command, PROGRAM, { uid: 0 }).slice(-6), [PROGRAM.node, PROGRAM.script, ...words]);
    assert.equal(systemArgv(command, PROGRAM, { uid: 0 })[0], 'sh');
    assert.equal(systemArgv(command, PROGRAM, { uid: 1000 })[0], 'sudo');
    const [sudo, env, variable] = systemArgv(command, PROGRAM, { uid: 1000, ssh: '192.0.2.9 5555 192.0.2.7 22' });
    assert.deepEqual([sudo, env, variable], ['sudo', 'env', 'SSH_CONNECTION=192.0.2.9 5555 192.0.2.7 22']);
  });

  it("leaves exim-config its word for the system's certificates", () => {
    const words = ['exim-config', '--ca-file', 'system', '--ca-file=system'];
    assert.deepEqual(systemCommand(words, '/home/jane').argv, words);
  });

  it('is given what the caller names, wherever it runs', () => {
    const words = ['--password-file=pw', '--client-secret-file', '/s', '--client-file', '../c.json', '--ca-file', 'ca'];
    const { argv, files } = systemCommand([...words, '--ca-file=x/../y', 'password-file'], '/home/jane');
    assert.deepEqual(argv, [
      ...words.slice(0, 5),
      '--ca-file',
      '/home/jane/ca',
      '--ca-file=/home/jane/y',
      'password-file',
    ]);
    assert.deepEqual(files, [
      { flag: 'password-file', path: '/home/jane/pw' },
      { flag: 'client-secret-file', path: '/s' },
      { flag: 'client-file', path: '/home/c.json' },
    ]);
    const line = systemArgv({ argv, files }, PROGRAM, { uid: 0 });
    assert.deepEqual(line.slice(4, 11), [
      'password-file',
      '/home/jane/pw',
      'client-secret-file',
      '/s',
      'client-file',
      '/home/c.json',
      '--',
    ]);
  });

  it('that prints commands prints those that reach the same accounts', () => {
    const env = SYSTEM.environment;
    const text = 'cms account add jane@example.org; cms account test jane@example.org; cms status; cms service status';
    assert.equal(asTyped(text, {}), text);
    assert.equal(
      asTyped(text, env),
      'cms account add --system jane@example.org; cms service run account test jane@example.org; cms service run status; cms service status',
    );
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
