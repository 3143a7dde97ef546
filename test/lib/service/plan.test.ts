import assert from 'node:assert/strict';
import { planUser, unitDir, type UserFacts } from '../../../src/lib/service/plan.ts';
import { programRemark, requireLasting } from '../../../src/lib/service/program.ts';
import { PROGRAM } from './fixtures.ts';

const FOLDER = '/home/jane/.config/systemd/user';
const DESKTOP = { DISPLAY: ':0' };

function plan(change: Partial<UserFacts> = {}, wishes: { now?: boolean; linger?: boolean } = {}) {
  const facts: UserFacts = {
    user: 'jane',
    env: DESKTOP,
    paths: { privateSocket: '/home/jane/run/cms.sock' },
    program: PROGRAM,
    eximSocket: undefined,
    keySource: 'keyring',
    lingers: false,
    ...change,
  };
  return planUser(FOLDER, facts, { now: false, linger: undefined, ...wishes });
}

describe('the plan of a service', () => {
  it('writes, reloads and enables, and starts only when asked to', () => {
    const { files, commands, linger, remarks } = plan();
    assert.deepEqual(
      files.map(({ path }) => path),
      [`${FOLDER}/cms.service`, `${FOLDER}/cms.socket`],
    );
    assert.deepEqual(
      commands.map((command) => command.join(' ')),
      ['systemctl --user daemon-reload', 'systemctl --user enable cms.service cms.socket'],
    );
    assert.equal(linger, undefined);
    assert.deepEqual(remarks, []);
    assert.deepEqual(
      plan({}, { now: true }).commands.at(-1)?.join(' '),
      'systemctl --user restart cms.service cms.socket',
    );
  });

  it('lets the user linger, and recommends a key file, where nobody logs in', () => {
    for (const change of [{ eximSocket: '/run/cms/jane/exim.sock' }, { env: {} }]) {
      const { linger, remarks } = plan(change);
      assert.deepEqual(linger, ['loginctl', 'enable-linger', 'jane']);
      assert.match(remarks.join('\n'), /cms store move file/);
      assert.doesNotMatch(plan({ ...change, keySource: 'file' }).remarks.join('\n'), /store move/);
      assert.equal(plan({ ...change, lingers: true }).linger, undefined);
      const without = plan(change, { linger: false });
      assert.equal(without.linger, undefined);
      assert.match(without.remarks.join('\n'), /loginctl enable-linger jane/);
    }
    assert.deepEqual(plan({}, { linger: true }).linger, ['loginctl', 'enable-linger', 'jane']);
  });

  it('carries what cms reads from the environment, and no password of a proxy', () => {
    const env = {
      ...DESKTOP,
      CMS_STATE_DIR: '/srv/cms',
      HTTPS_PROXY: 'http://jane:hunter2@proxy.example:3128',
      no_proxy: 'localhost',
      CMS_TEST_LOGIN: 'x',
    };
    const { files, remarks } = plan({ env });
    assert.match(files[0]?.text ?? '', /^Environment="CMS_STATE_DIR=\/srv\/cms" "no_proxy=localhost"$/m);
    assert.match(remarks.join('\n'), /HTTPS_PROXY holds a password/);
    assert.doesNotMatch(JSON.stringify({ files, remarks }), /hunter2/);
  });

  it('puts the private socket where cms looks for it', () => {
    const stream = (env: Record<string, string>): string | undefined =>
      /ListenStream=(.*)/.exec(plan({ env: { ...DESKTOP, ...env } }).files[1]?.text ?? '')?.[1];
    assert.equal(stream({}), '%t/cms/cms.sock');
    assert.equal(stream({ CMS_RUNTIME_DIR: '/home/jane/run' }), '/home/jane/run/cms.sock');
    assert.equal(stream({ CMS_SOCKET: '/home/jane/run/cms.sock' }), '/home/jane/run/cms.sock');
  });

  it('has its units where systemd looks for them', () => {
    assert.equal(unitDir({}, '/home/jane'), FOLDER);
    assert.equal(unitDir({ XDG_CONFIG_HOME: '/x' }, '/home/jane'), '/x/systemd/user');
    assert.equal(unitDir({ XDG_CONFIG_HOME: '' }, '/home/jane'), FOLDER);
  });
});

describe('the program of a service', () => {
  for (const script of [
    '/home/jane/.npm/_npx/5a1b/node_modules/cms-oauth/bin/run.js',
    '/home/jane/.cache/pnpm/dlx-8123/node_modules/cms-oauth/bin/run.js',
    '/home/jane/.cache/pnpm/dlx/abc/node_modules/cms-oauth/bin/run.js',
    '/tmp/xfs-1a2b/dlx-99/node_modules/cms-oauth/bin/run.js',
    '/tmp/bunx-1000-cms-oauth@latest/node_modules/cms-oauth/bin/run.js',
  ]) {
    it(`is not ${script}`, () => {
      assert.throws(
        () => requireLasting({ ...PROGRAM, script }, false),
        (error: { code: string; suggestions: string[] }) =>
          error.code === 'config_invalid' && error.suggestions.some((each) => /^npm install -g cms-oauth\b/.test(each)),
      );
    });
  }

  it('is nobody’s own when the system runs it', () => {
    const script = '/home/jane/.nvm/versions/node/v22/lib/node_modules/cms-oauth/bin/run.js';
    requireLasting({ ...PROGRAM, script }, false);
    assert.throws(() => requireLasting({ ...PROGRAM, script }, true), { code: 'config_invalid' });
    requireLasting(PROGRAM, true);
  });

  it('gets a remark below /tmp', () => {
    assert.equal(programRemark(PROGRAM), undefined);
    assert.match(programRemark({ ...PROGRAM, script: '/tmp/cms/bin/run.js' }) ?? '', /emptied at boot/);
  });
});
