import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findNotifySend, hasSessionBus, notifySendArguments } from '../../../src/lib/notify/desktop.ts';
import { details, type Event, grouped, headline, plain } from '../../../src/lib/notify/event.ts';
import { hookEnvironment, requireTrustedProgram } from '../../../src/lib/notify/hooks.ts';
import { renderMail } from '../../../src/lib/notify/mail.ts';
import type { Outage } from '../../../src/lib/notify/decide.ts';
import { readOutages, writeOutages } from '../../../src/lib/notify/memory.ts';
import { Secret } from '../../../src/lib/core/secret.ts';

const event: Event = {
  name: 'authorization_required',
  address: "`id`|'x&y@example.org",
  provider: 'custom',
  state: 'authorization_required',
  code: 'authorization_required',
  reason: 'invalid_grant: $(touch /tmp/x)\r\nBcc: all@example.org\x1b[2J\u202e <b>"bold"</b> \\n',
  since: '2026-01-05T12:00:00.000Z',
  remedy: "cms account add '`id`|x&y@example.org'",
  reminder: false,
};

describe('the words about an account', () => {
  it('are one line without controls, of bounded length', () => {
    assert.equal(plain('a\r\nb\x00\x1b[31mc\u202ed\u2028e\u0085f\tg'), 'a b [31mc d e f g');
    assert.equal(plain('x'.repeat(600)).length, 501);
  });

  it('have a headline for each event', () => {
    const say = (more: Partial<Event>, others = 0) => headline({ ...event, address: 'a@b.c', ...more }, others);
    assert.equal(say({}), 'a@b.c: a sign-in is needed');
    assert.equal(say({ reminder: true }, 2), 'reminder: a@b.c and 2 more: a sign-in is needed');
    assert.equal(say({ code: 'access_denied' }), 'a@b.c: the mail server refuses the sign-in');
    assert.equal(say({ code: 'client_invalid' }), 'a@b.c: the provider refuses the client');
    assert.equal(say({ name: 'degraded', code: 'store_locked' }), 'a@b.c: the keyring is locked');
    assert.equal(say({ name: 'recovered' }), 'a@b.c: works again');
  });

  it('say why, since when and what to do', () => {
    assert.deepEqual(details({ ...event, reason: 'why', remedy: 'do this', explanation: 'means' }, 1), [
      'why, since 2026-01-05 12:00 UTC',
      'means',
      'to do: do this',
      'the others: cms status',
    ]);
    assert.deepEqual(details({ ...event, name: 'recovered', reason: 'why' }), [
      'it was: why, since 2026-01-05 12:00 UTC',
    ]);
  });

  it('come once for all accounts that the same happened to at the same time', () => {
    const [a, b, c] = [event, { ...event, address: 'b@b.c' }, { ...event, reminder: true }];
    assert.deepEqual(grouped([a, c, b]), [[a, b], [c]]);
  });

  it("reach a hook as data, without controls, secrets or more of the broker's environment than needed", () => {
    const secret = new Secret('the-refresh-token-0123456789');
    const environment = hookEnvironment(
      { ...event, reason: `${event.reason ?? ''} ${secret.reveal()}` },
      { PATH: '/bin', CMS_VAULT_KEY_FILE: '/key', CMS_EVENT: 'forged' },
    );
    assert.equal(environment.CMS_ADDRESS, event.address);
    assert.equal(
      environment.CMS_REASON,
      'invalid_grant: $(touch /tmp/x) Bcc: all@example.org [2J <b>"bold"</b> \\n [secret]',
    );
    assert.equal(environment.CMS_EVENT, 'authorization_required');
    assert.equal(environment.CMS_REMINDER, '0');
    assert.equal(environment.CMS_VAULT_KEY_FILE, undefined);
  });

  it('are no options and no mark-up on the desktop', () => {
    const argv = notifySendArguments('/usr/bin/notify-send', { ...event, address: '--help@example.org' });
    assert.deepEqual(argv.slice(0, 6), [
      '/usr/bin/notify-send',
      '--app-name=cms',
      '--urgency=critical',
      '--icon=mail-unread',
      '--',
      '--help@example.org: a sign-in is needed',
    ]);
    assert.equal(argv.length, 7);
    const body = argv[6] ?? '';
    assert.ok(body.includes('&lt;b&gt;"bold"&lt;/b&gt; \\\\n,'), body);
    assert.ok(body.includes('x&amp;y@example.org'), body);
    assert.equal(body.split('\n').length, 2);
  });

  it('are a mail whose headers hold nothing that a provider has said', () => {
    const raw = renderMail(event, { from: 'me@example.net', to: 'you@example.net' }, { hostname: 'host', now: 0 });
    const [head = '', body = ''] = raw.split('\r\n\r\n');
    assert.deepEqual(
      head.split('\r\n').map((line) => line.split(':')[0]),
      [
        ...['From', 'To', 'Subject', 'Date', 'Message-ID', 'Auto-Submitted'],
        ...['MIME-Version', 'Content-Type', 'Content-Transfer-Encoding'],
      ],
    );
    assert.match(head, /^Date: Thu, 01 Jan 1970 00:00:00 \+0000$/m);
    assert.ok(raw.split('\r\n').every((line) => line.length <= 998));
    assert.match(Buffer.from(body, 'base64').toString(), /^.*: a sign-in is needed\r\n\r\ninvalid_grant: \$\(touch/);
  });
});

describe('the desktop', () => {
  let folder: string;
  beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'cms-desktop-'))));
  afterEach(() => rm(folder, { recursive: true }));

  it('is where a session bus is', async () => {
    assert.equal(hasSessionBus({ DBUS_SESSION_BUS_ADDRESS: 'unix:path=/x' }), true);
    assert.equal(hasSessionBus({ XDG_RUNTIME_DIR: folder }), false);
    await writeFile(join(folder, 'bus'), '');
    assert.equal(hasSessionBus({ XDG_RUNTIME_DIR: folder }), true);
    assert.equal(hasSessionBus({}), false);
  });

  it('is reached by a notify-send in an absolute folder of the PATH', async () => {
    await writeFile(join(folder, 'notify-send'), '', { mode: 0o755 });
    assert.equal(findNotifySend({ PATH: `/nowhere:${folder}` }), join(folder, 'notify-send'));
    assert.equal(findNotifySend({ PATH: '.::/nowhere' }), undefined);
  });
});

describe('a hook is run only if', () => {
  let folder: string;
  let program: string;
  const uid = process.getuid?.() ?? -1;
  const allowed = () => requireTrustedProgram(program, uid);
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cms-hook-'));
    program = join(folder, 'hook');
    await writeFile(program, '#!/bin/sh\n', { mode: 0o755 });
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('it is a program of the user or of root', async () => {
    await allowed();
    await requireTrustedProgram('/bin/true', uid);
    await assert.rejects(requireTrustedProgram(join(folder, 'none'), uid), /is not run: it is not there/);
    await assert.rejects(requireTrustedProgram(folder, uid), /is not an executable file/);
    await chmod(program, 0o644);
    await assert.rejects(allowed(), { code: 'config_invalid', message: /is not an executable file/ });
    if (uid === 0) return;
    await chmod(program, 0o755);
    await assert.rejects(requireTrustedProgram(program, uid + 1), /belongs to another user/);
  });

  it('nobody else may write to it, to its folder, or to what a link leads to', async () => {
    for (const mode of [0o775, 0o757]) {
      await chmod(program, mode);
      await assert.rejects(allowed(), /others may write to/);
    }
    await chmod(program, 0o755);
    await chmod(folder, 0o777);
    await assert.rejects(allowed(), /others may write to/);
    const own = join(folder, 'own');
    await mkdir(own, { mode: 0o700 });
    await symlink(program, join(own, 'link'));
    await assert.rejects(requireTrustedProgram(join(own, 'link'), uid), /others may write to/);
  });
});

describe('what has been told', () => {
  it('is the same after a restart, and not believed when it is damaged', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cms-told-'));
    const path = join(folder, 'outages.json');
    assert.deepEqual(await readOutages(path), new Map());
    const outage: Outage = {
      name: 'degraded',
      code: 'store_locked',
      reason: 'r',
      grant: undefined,
      since: 1,
      seen: 2,
      told: 3,
    };
    const outages = new Map([['a@b.c', outage]]);
    await writeOutages(path, outages);
    assert.deepEqual(await readOutages(path), outages);
    for (const text of ['', '[]', 'null', '{"version":2}', '{"version":1,"outages":{"a@b.c":{"name":"x"}}}']) {
      await writeFile(path, text);
      await assert.rejects(readOutages(path), { code: 'data_invalid' }, text);
    }
    await rm(folder, { recursive: true });
  });
});
