import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { commandWord, isOurs, literal, quotedWord } from '../../../src/lib/service/unit-file.ts';
import { systemUnits, type Unit, userUnits } from '../../../src/lib/service/units.ts';
import { requires } from '../../support/requirements.ts';
import { goldenUnits, PROGRAM, USER_SERVICE } from './fixtures.ts';

const GOLDEN = fileURLToPath(new URL('golden/', import.meta.url));
/** There on every machine that runs this; systemd wants to see what it is to start. */
const HERE = { node: process.execPath, script: '/usr/lib/cms/run.js' };

const textOf = (units: readonly Unit[], name: Unit['name']): string =>
  units.find((unit) => unit.name === name)?.text ?? assert.fail(`no ${name}`);

/** @returns what systemd has to say about the units; nothing when they are right */
function verdict(units: readonly Unit[], scope: '--user' | '--system'): string {
  const folder = mkdtempSync(join(tmpdir(), 'cms-units-'));
  try {
    const files = units.map(({ name, text }) => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    });
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', scope, '--man=no', ...files], {
      encoding: 'utf8',
      env: { ...process.env, XDG_RUNTIME_DIR: folder, SYSTEMD_LOG_LEVEL: 'warning' },
    });
    return status === 0 ? stderr.trim() : `${stderr}\nstatus ${String(status)}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe('the units', () => {
  for (const [kind, units] of Object.entries(goldenUnits)) {
    for (const { name, text } of units) {
      it(`are as they were agreed upon: ${kind}/${name}`, () => {
        assert.equal(text, readFileSync(join(GOLDEN, kind, name), 'utf8'));
        assert.ok(isOurs(text));
      });
    }
  }

  it('of a user have no sandbox, which would hide who asks, and may start exim', () => {
    const text = textOf(userUnits(USER_SERVICE), 'cms.service');
    assert.doesNotMatch(text, /NoNewPrivileges|Protect|Private|Restrict(?!Prevent)|SystemCall|Capabilit/);
  });

  it('of the system leave out what V8, peer credentials and the audit trail cannot live with', () => {
    const text = textOf(systemUnits({ program: PROGRAM, credential: true }), 'cms.service');
    assert.doesNotMatch(text, /MemoryDenyWriteExecute|PrivateUsers|ProtectProc|ProcSubset|DynamicUser/);
  });

  it('keep the key in a file where systemd cannot seal it', () => {
    const text = textOf(systemUnits({ program: PROGRAM, credential: false }), 'cms.service');
    assert.doesNotMatch(text, /LoadCredential/);
    assert.match(text, /"CMS_STORE=file"/);
  });

  it('have a socket for exim only where exim has been configured', () => {
    const units = userUnits({ ...USER_SERVICE, eximSocket: undefined });
    assert.deepEqual(
      units.map(({ name }) => name),
      ['cms.service', 'cms.socket'],
    );
    assert.doesNotMatch(textOf(units, 'cms.service'), /exim/);
  });

  describe('before systemd', function () {
    this.timeout(20_000);
    requires(this, 'systemd');

    it('stand, those of a user, with odd characters in them', () => {
      const environment = { CMS_CONFIG_DIR: '/home/o\'neil 100% "x" \\y $HOME', NODE_EXTRA_CA_CERTS: '/ca.pem' };
      assert.equal(verdict(userUnits({ ...USER_SERVICE, program: HERE, environment }), '--user'), '');
    });

    it('stand, those of the system', () => {
      assert.equal(verdict(systemUnits({ program: HERE, credential: true }), '--system'), '');
      assert.equal(verdict(systemUnits({ program: HERE, credential: false }), '--system'), '');
    });

    it('would not with a mistake in them', () => {
      const units = systemUnits({ program: HERE, credential: true }).map(({ name, text }) => ({
        name,
        text: text.replace('RestrictRealtime', 'RestrictReeltime'),
      }));
      assert.match(verdict(units, '--system'), /RestrictReeltime/);
    });

    it('leave the service of the system little to break', function () {
      const folder = mkdtempSync(join(tmpdir(), 'cms-units-'));
      const file = join(folder, 'cms.service');
      writeFileSync(file, textOf(systemUnits({ program: HERE, credential: true }), 'cms.service'));
      const { stdout } = spawnSync('systemd-analyze', ['security', '--offline=true', '--no-pager', file], {
        encoding: 'utf8',
      });
      rmSync(folder, { recursive: true, force: true });
      const exposure = Number(/exposure level for cms\.service: ([\d.]+)/.exec(stdout)?.[1]);
      assert.ok(exposure <= 2.5, stdout);
    });
  });
});

describe('a value in a unit', () => {
  it('is taken literally', () => {
    assert.equal(literal('/100%/x'), '/100%%/x');
    assert.equal(quotedWord('A=b "c" \\d %e $F'), '"A=b \\"c\\" \\\\d %%e $F"');
    assert.equal(commandWord('/usr/bin/node'), '/usr/bin/node');
    assert.equal(commandWord('/o neil/$x/%y/"z"'), '"/o neil/$$x/%%y/\\"z\\""');
  });

  for (const text of ['a\nExecStart=/bin/evil', 'a\0', 'a\r', 'a\\']) {
    it(`cannot be ${JSON.stringify(text)}`, () => {
      for (const put of [literal, quotedWord, commandWord]) assert.throws(() => put(text), { code: 'config_invalid' });
    });
  }
});
