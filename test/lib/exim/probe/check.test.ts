import assert from 'node:assert/strict';
import { checkSender, judgeConfig, parseRoute, sendersOf } from '../../../../src/lib/exim/probe/check.ts';
import type { Run } from '../../../../src/lib/os/process.ts';
import { parseEntries } from '../../../../src/lib/exim/smart-hosts/smart-hosts-file.ts';
import { smartHostsOf } from '../../../../src/lib/exim/smart-hosts/smart-hosts.ts';
import { oauthAccount } from '../fixtures.ts';

const ROUTED = 'x@y.z\n  router = cms_smart_host, transport = cms_smtp\n  host a.example [192.0.2.1] port=587\n';

function exim(answers: (argv: readonly string[]) => { status?: number; stdout?: string; stderr?: string }) {
  const run: Run = async (argv) => ({ status: 0, stdout: '', stderr: '', ...answers(argv) });
  return { run, binary: '/usr/sbin/exim4', configFile: '/tmp/conf' };
}

describe('what exim says about a configuration', () => {
  it('is nothing when it takes it', async () => {
    assert.equal(await judgeConfig(exim(() => ({ stdout: 'Exim version 4.96' }))), undefined);
  });

  it('is its own words when it does not', async () => {
    const stderr = '2026-01-01 Exim configuration error in line 3 of /tmp/conf:\n  unknown\n';
    assert.match((await judgeConfig(exim(() => ({ status: 1, stderr })))) ?? '', /error in line 3/);
  });
});

describe('the way of a sender', () => {
  const entries = parseEntries('a@b.c: host=h.example::587 user=u@b.c account=a@b.c oauth=/run/s\n');

  it('is read from exim -bt', () => {
    assert.deepEqual(parseRoute(ROUTED), { ok: true, detail: 'cms_smtp' });
    assert.deepEqual(parseRoute('x@y.z cannot be resolved at this time: cms: no line\n'), {
      ok: false,
      detail: 'cms: no line',
    });
    assert.deepEqual(parseRoute('', 'exim: boom'), { ok: false, detail: 'exim: boom' });
  });

  it('names the line, the host and the account', async () => {
    assert.deepEqual(
      await checkSender(
        exim(() => ({ stdout: ROUTED })),
        entries,
        'a@b.c',
      ),
      {
        sender: '<a@b.c>',
        line: 'a@b.c',
        host: 'h.example:587',
        account: 'a@b.c',
        ok: true,
        detail: 'cms_smtp',
      },
    );
  });

  it('is explained by the broker where exim hides its reason from an ordinary user', async () => {
    const answers = exim((argv) =>
      argv.includes('-be')
        ? { stdout: 'authorization required: run cms account add a@b.c\n' }
        : { stdout: 'x@y.z cannot be resolved at this time\n' },
    );
    const { ok, detail } = await checkSender(answers, entries, 'a@b.c');
    assert.deepEqual([ok, detail], [false, 'authorization required: run cms account add a@b.c']);
  });

  it('ends at a server that offers no mechanism of exim, where servers are asked', async () => {
    const lines = parseEntries(
      'a@b.c: host=h.example::465 user=a@b.c oauth=/s\np@b.c: host=h.example user=p@b.c oauth=/s auth=password\n',
    );
    const asked: unknown[] = [];
    const check = (sender: string, offered: string[] | undefined) =>
      checkSender(
        {
          ...exim(() => ({ stdout: ROUTED })),
          offers: async (server) => {
            asked.push(server);
            return offered;
          },
        },
        lines,
        sender,
      );
    for (const [sender, offered, ok] of [
      ['a@b.c', ['XOAUTH2'], true],
      ['a@b.c', ['OAUTHBEARER', 'PLAIN'], true],
      ['a@b.c', ['CRAM-MD5', 'PLAIN'], false],
      ['a@b.c', undefined, true],
      ['p@b.c', ['LOGIN'], true],
      ['p@b.c', ['CRAM-MD5', 'XOAUTH2'], false],
      ['p@b.c', [], false],
    ] as const)
      assert.equal((await check(sender, offered && [...offered])).ok, ok, `${sender} ${offered?.join(' ')}`);
    assert.match((await check('p@b.c', ['CRAM-MD5'])).detail, /logins by CRAM-MD5; exim uses PLAIN or LOGIN/);
    assert.deepEqual(asked[0], { host: 'h.example', port: 465, tls: 'implicit' });
  });

  it('is tried for each address, one address of each domain, and the empty sender', () => {
    const accounts = [oauthAccount('a@b.c', { aliases: ['@d.e'] })];
    const { lines } = smartHostsOf(accounts, { socket: '/run/s', defaultAddress: 'a@b.c' });
    assert.deepEqual(sendersOf(lines), ['a@b.c', 'postmaster@d.e', '']);
  });
});
