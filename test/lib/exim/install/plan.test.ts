import assert from 'node:assert/strict';
import type { Account } from '../../../../src/lib/accounts/account.ts';
import { MAX_REQUEST_BYTES, parseRequest } from '../../../../src/lib/broker/wire.ts';
import { CmsError } from '../../../../src/lib/core/errors.ts';
import { LONGEST_REQUEST } from '../../../../src/lib/exim/render/line-fields.ts';
import { parseInstalled, smartHostsState } from '../../../../src/lib/exim/install/installed.ts';
import { type EximPlan, type EximRequest, noSender, noteOf, planExim } from '../../../../src/lib/exim/install/plan.ts';
import { oauthAccount, passwordAccount } from '../fixtures.ts';

const accounts = [oauthAccount('jane@example.org')];

function plan(request: EximRequest = {}, change: { accounts?: Account[]; before?: EximPlan; hostName?: string } = {}) {
  return planExim(request, {
    user: 'jane',
    hostName: change.hostName ?? 'laptop',
    accounts: change.accounts ?? accounts,
    installed: change.before === undefined ? undefined : noteOf(change.before),
  });
}

describe('the plan of an installation', () => {
  it('has defaults for everything', () => {
    const { socket, options, remarks } = plan();
    assert.equal(socket, '/run/cms/jane/exim.sock');
    assert.equal(options.smartHostsFile, '/etc/exim4/exim-smart-hosts');
    assert.match(remarks.join('\n'), /no --default ADDRESS/);
  });

  it('keeps what was installed and is not asked for anew', () => {
    const before = plan({
      defaultAddress: 'jane@example.org',
      helo: 'a.example',
      listen: '127.0.0.1:25',
      localDomains: ['b.example'],
    });
    const again = plan({}, { before });
    assert.equal(again.config, before.config);
    assert.equal(again.block, before.block);
    assert.deepEqual(again.remarks, []);
    assert.deepEqual(before.takenOver, []);
    assert.deepEqual(again.takenOver, ['--listen 127.0.0.1:25', '--local-domain b.example'], 'for root to see');
    assert.match(plan({ helo: 'c.example' }, { before }).config, /c\.example/);
  });

  it('has no socket in the directory of another user, whether asked for or noted', () => {
    for (const socket of ['/run/cms/bob/exim.sock', '//run/./cms/bob/exim.sock', '/run/cms/jane/../bob/exim.sock']) {
      assert.throws(() => plan({ socket }), { code: 'config_invalid' }, socket);
    }
    assert.deepEqual(plan({}, { before: plan({ socket: '/srv/jane/exim.sock' }) }).takenOver, [
      '--socket /srv/jane/exim.sock',
    ]);
  });

  it('gives up a default that has gone since, and says so', () => {
    const before = plan({ defaultAddress: 'jane@example.org' });
    const { defaultAddress, lines, remarks } = plan({}, { before, accounts: [oauthAccount('bob@example.org')] });
    assert.equal(defaultAddress, undefined);
    assert.deepEqual(
      lines.map(({ key }) => key),
      ['bob@example.org'],
    );
    assert.match(remarks.join('\n'), /jane@example\.org was the default and cannot be any more/);
  });

  it('does not take the mail domain for this host', () => {
    const { options, remarks } = plan({}, { hostName: 'Example.org' });
    assert.equal(options.ownNameIsLocal, false);
    assert.match(remarks.join('\n'), /this host is called Example\.org/);
  });

  it('warns of a local domain in which an account lives', () => {
    assert.match(
      plan({ localDomains: ['example.org'] }).remarks.join('\n'),
      /--local-domain example\.org is the domain/,
    );
  });

  it('has a sentence for when nothing can be sent at all, and for root another user', () => {
    const lack = noSender(plan({}, { accounts: [] }));
    assert.deepEqual([lack.exitStatus, lack.message], [67, 'jane has no account that can send']);
    assert.deepEqual(lack.suggestions, ['cms account add ADDRESS']);
    assert.equal(noSender({ user: 'root' }).suggestions[0], 'run it as the user who has the accounts');
  });
});

describe('the state of the installed smart-hosts file', () => {
  const installed = noteOf(plan({ defaultAddress: 'jane@example.org' }));

  it('is current while the accounts say the same', () => {
    assert.equal(smartHostsState(installed, accounts), 'current');
  });

  it('is stale after an account has come, gone or changed', () => {
    assert.equal(smartHostsState(installed, [...accounts, oauthAccount('bob@example.org')]), 'stale');
    assert.equal(smartHostsState(installed, []), 'stale');
    assert.equal(
      smartHostsState(installed, [oauthAccount('jane@example.org', { aliases: ['j@example.org'] })]),
      'stale',
    );
  });

  it('is not minded where nothing was installed', () => {
    assert.equal(smartHostsState(undefined, accounts), 'not_installed');
  });

  it('survives being written and read', () => {
    assert.deepEqual(parseInstalled(JSON.stringify(installed)), installed);
  });

  for (const text of ['', 'null', '[]', '{}', '{"version":2}', '{"version":1,"user":"jane"}']) {
    it(`counts ${JSON.stringify(text)} as no note`, () => {
      assert.equal(parseInstalled(text), undefined);
    });
  }

  for (const socket of [
    '/run/cms/bob/exim.sock',
    '/var/run/cms/bob/x',
    '/run/cms/jane/../bob/exim.sock',
    '/run/cms/bob',
  ]) {
    it(`does not name a socket of another user: ${socket}`, () => {
      const about = { user: 'jane', hostName: 'laptop', accounts: [], installed: undefined };
      assert.throws(() => planExim({ socket }, about), /is in the folder of bob/);
    });
  }

  describe('with names so long that exim would ask in vain', () => {
    const address = `${'j'.repeat(64)}@${`${'d'.repeat(60)}.`.repeat(3)}example`;
    /** So that the longest request has `bytes`. @param frame of the request, beside host and address */
    const hostOf = (bytes: number, frame: string): string => {
      const left = bytes - Buffer.byteLength(frame) - address.length;
      return `${'a.'.repeat(Math.floor(left / 2) - 1)}${left % 2 === 0 ? 'bb' : 'ccc'}`;
    };
    const TOKEN = 'SMTP,host=,port=587,refused ';
    const PASSWORD = 'SMTP,host=,port=587,password,ready ';

    for (const [what, frame, make] of [
      ['a token', TOKEN, oauthAccount],
      ['an app password', PASSWORD, passwordAccount],
    ] as const) {
      it(`writes the line of ${what} while the broker understands it, and refuses the next one, by name`, () => {
        const planned = (bytes: number) => {
          const host = hostOf(bytes, frame);
          return plan({}, { accounts: [make(address, { servers: { smtp: { host, port: 587, tls: 'starttls' } } })] });
        };
        const { lines } = planned(LONGEST_REQUEST);
        const request = `${frame.replace('host=', `host=${lines[0]?.server.host ?? ''}`)}${address}`;
        assert.equal(request.length, MAX_REQUEST_BYTES - 1, 'without an end of line');
        assert.notEqual(parseRequest(request), undefined);
        assert.throws(
          () => planned(LONGEST_REQUEST + 1),
          (error) =>
            error instanceof CmsError &&
            error.code === 'data_invalid' &&
            error.message.startsWith(`the line of ${address} would make exim ask the broker with 512 bytes`),
        );
      });
    }
  });
});
