import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CmsError } from '../../../src/lib/core/errors.ts';
import { parseSettings, readSettings } from '../../../src/lib/config/settings.ts';

describe('[hooks] and [notify] of config.toml', () => {
  it('name programs with arguments, and who is told how often', () => {
    const { hooks, notify } = parseSettings(
      `[hooks]
authorization_required = ["/usr/local/bin/tell-me", "--loud"]
recovered = ["/bin/true"]
timeout = 2.5
[notify]
desktop = false
mail = "Other@Example.org"
mail_to = "me@example.net"
reminder = "24h"
flush_queue = true
`,
      'f',
    );
    assert.deepEqual(hooks, {
      authorization_required: ['/usr/local/bin/tell-me', '--loud'],
      recovered: ['/bin/true'],
      timeoutMs: 2500,
    });
    assert.deepEqual(notify, {
      desktop: false,
      flushQueue: true,
      mail: 'other@example.org',
      mailTo: 'me@example.net',
      reminderMs: 86_400_000,
    });
  });

  it('are what docs/notifications.md shows', async () => {
    const page = await readFile(new URL('../../../docs/notifications.md', import.meta.url), 'utf8');
    const { hooks, notify } = parseSettings(/```toml\n([^]*?)```/.exec(page)?.[1] ?? '', 'docs');
    assert.deepEqual(Object.keys(hooks), ['authorization_required', 'degraded', 'recovered', 'timeoutMs']);
    assert.deepEqual(notify, {
      ...{ desktop: true, flushQueue: true, mail: 'jane@example.net', mailTo: 'jane@example.com' },
      reminderMs: 86_400_000,
    });
  });

  it('are empty where nothing is said', () => {
    const { hooks, notify } = parseSettings('', 'f');
    assert.deepEqual([hooks, notify], [{}, {}]);
  });

  const intervals = { '90s': 90_000, '30m': 1_800_000, '7d': 604_800_000, never: 0 };
  for (const [text, milliseconds] of Object.entries(intervals)) {
    it(`reads the interval ${text}`, () => {
      assert.equal(parseSettings(`[notify]\nreminder = "${text}"\n`, 'f').notify.reminderMs, milliseconds);
    });
  }

  it("are the user's key by key before the system's", async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cms-settings-'));
    const paths = { configFile: join(folder, 'mine.toml'), systemConfigFile: join(folder, 'system.toml') };
    await writeFile(paths.systemConfigFile, '[hooks]\ndegraded = ["/a"]\nrecovered = ["/b"]\n[notify]\nmail = true\n');
    await writeFile(paths.configFile, '[hooks]\nrecovered = ["/c"]\n[notify]\ndesktop = true\n');
    const { hooks, notify } = await readSettings(paths);
    assert.deepEqual(hooks, { degraded: ['/a'], recovered: ['/c'] });
    assert.deepEqual(notify, { mail: true, desktop: true });
    await rm(folder, { recursive: true });
  });

  const wrong: [string, RegExp][] = [
    ['[hooks]\nrecovered = "/bin/sh -c true"\n', /f: \[hooks\]: recovered is a list of a program and its arguments/],
    ['[hooks]\nrecovered = []\n', /is a list/],
    ['[hooks]\nrecovered = ["/a", 1]\n', /is a list/],
    ['[hooks]\nrecovered = ["tell-me"]\n', /an absolute path, not tell-me/],
    ['[hooks]\nrecovered = ["/a", "x\\u0000"]\n', /NUL/],
    ['[hooks]\nrecoverd = ["/a"]\n', /unknown key recoverd/],
    ['[hooks]\ntimeout = 0\n', /from 1 to 10/],
    ['[hooks]\ntimeout = 60\n', /from 1 to 10/],
    ['[hooks]\ntimeout = "5"\n', /from 1 to 10/],
    ['[[hooks]]\n', /not a table/],
    ['[notify]\ndesktop = "yes"\n', /\[notify\]: desktop is true or false/],
    ['[notify]\nflush_queue = 1\n', /flush_queue is true or false/],
    ['[notify]\nmail = "nobody"\n', /mail is true, false or an address/],
    ['[notify]\nmail_to = true\n', /mail_to is an address/],
    ['[notify]\nreminder = 24\n', /an interval such as "24h"/],
    ['[notify]\nreminder = "0h"\n', /an interval such as "24h"/],
    ['[notify]\nreminder = "24 hours"\n', /an interval such as "24h"/],
    ['[notify]\nremainder = "24h"\n', /unknown key remainder/],
    ['notify = true\n', /not a table/],
  ];
  for (const [text, message] of wrong) {
    it(`refuse ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => parseSettings(text, 'f'),
        (error) => error instanceof CmsError && error.code === 'config_invalid' && message.test(error.message),
      );
    });
  }
});
