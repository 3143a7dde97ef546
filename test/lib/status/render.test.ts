import assert from 'node:assert/strict';
import { stripVTControlCharacters } from 'node:util';
import type { AccountStatus, SocketStatus } from '../../../src/lib/broker/server/status.ts';
import { renderStatus } from '../../../src/lib/status/render.ts';
import type { Screen } from '../../../src/lib/terminal/screen.ts';
import type { StatusView } from '../../../src/lib/status/view.ts';
import { displayWidth } from '../../../src/lib/terminal/width.ts';

const NOW = Date.UTC(2026, 10, 23, 12);
const MINUTE = 60_000;
const DAY = 86_400_000;
const at = (milliseconds: number): string => new Date(NOW + milliseconds).toISOString();

const JANE: AccountStatus = {
  address: 'jane@example.org',
  kind: 'oauth',
  provider: 'google',
  state: 'ok',
  signed_in_at: at(-2 * DAY),
  last_refresh_at: at(-15 * MINUTE),
  access_token_expires_at: at(45 * MINUTE),
  next_sign_in: { certainty: 'possible', at: at(5 * DAY), reason: '7 days after the sign-in, if it is in "Testing"' },
};
const CAROL: AccountStatus = {
  ...JANE,
  address: 'carol@example.org',
  state: 'authorization_required',
  code: 'authorization_required',
  reason: 'invalid_grant: revoked',
  explanation: 'the sign-in expired or was revoked',
  since: at(-3 * MINUTE),
  remedy: 'cms account add carol@example.org',
  access_token_expires_at: at(-MINUTE),
  next_sign_in: { certainty: 'due', reason: 'the sign-in has ended' },
};
const WORK: AccountStatus = {
  ...JANE,
  address: 'jane@work.example',
  provider: 'microsoft',
  next_sign_in: { certainty: 'learned', at: at(DAY), reason: 'the last 2 sign-ins ended after 14 days' },
};
const SOCKET: SocketStatus = {
  path: '/run/cms/jane/exim.sock',
  mode: '0660',
  private: false,
  passwords: false,
  group: 'Debian-exim',
  protocols: ['smtp'],
  users: ['Debian-exim'],
};
const BROKER = { pid: 41, cms: '1.2.3', started_at: at(-125 * MINUTE), requests: 1234, failures: 3 };
const VIEW: StatusView = { version: 1, broker: BROKER, sockets: [SOCKET], accounts: [JANE, CAROL, WORK] };

function rendered(columns: number, view: StatusView = VIEW, more: Partial<Screen> = {}, all = false): string {
  const screen = { terminal: Number.isFinite(columns), columns, rows: 50, colour: false, unicode: true, ...more };
  return renderStatus(view, { screen, now: NOW, privateSocket: '/run/user/1/cms/cms.sock', all });
}

function line(text: string, start: string): string {
  return text.split('\n').find((each) => each.startsWith(start)) ?? '';
}

describe('the status on a screen', () => {
  const zone = process.env.TZ;
  before(() => (process.env.TZ = 'UTC'));
  after(() => (zone === undefined ? delete process.env.TZ : (process.env.TZ = zone)));

  for (const columns of [40, 60, 80, 120, 200]) {
    it(`of ${columns} columns stays within them and says all that matters`, () => {
      const text = rendered(columns);
      for (const each of text.split('\n')) assert.ok(displayWidth(each) <= columns, `${displayWidth(each)}: ${each}`);
      const words = text.replace(/\s+/g, ' ');
      for (const needed of [
        'AUTHORIZATION REQUIRED for 3 min: the sign-in expired or was revoked',
        'the provider said: invalid_grant: revoked',
        'cms account add carol@example.org',
        'perhaps in 5 d',
        'if it is in "Testing"',
        'the last 2 sign-ins ended after 14 days',
        '3 accounts: 2 OK, 1 AUTHORIZATION REQUIRED',
        'broker: pid 41, cms 1.2.3, up since 2026-11-23 09:55 (2 h 5 min), 1,234 requests, 3 not served',
        '/run/cms/jane/exim.sock',
        '0660',
        'Debian-exim',
      ]) {
        assert.ok(words.includes(needed), `${needed} is not in\n${text}`);
      }
    });
  }

  it('says in words whom a socket without a list of users serves, where the table does not fit', () => {
    const { users: _users, ...open } = SOCKET;
    const text = rendered(50, { ...VIEW, sockets: [open] }).replace(/\s+/g, ' ');
    assert.match(text, /mode 0660, group Debian-exim: smtp, as its mode allows/);
  });

  it('does not say that a page on the way came from the provider', () => {
    const reason = 'the token endpoint answered 302: a web page instead of JSON (captive portal or proxy?)';
    const failing = { ...JANE, state: 'failing', explanation: 'something else answered', reason } as const;
    const text = rendered(200, { ...VIEW, accounts: [failing] });
    assert.match(text, /FAILING: something else answered\n {2}the token endpoint answered 302/);
  });

  it('drops the columns that matter least, and at last the table', () => {
    const head = (columns: number): string => line(rendered(columns), 'ACCOUNT').replace(/ {2,}/g, '|');
    assert.equal(head(200), 'ACCOUNT|PROVIDER|STATE|TOKEN|REFRESHED|SIGN IN AGAIN|WHY');
    assert.equal(head(120), 'ACCOUNT|PROVIDER|STATE|TOKEN|REFRESHED|SIGN IN AGAIN');
    assert.equal(head(80), 'ACCOUNT|STATE|TOKEN|SIGN IN AGAIN');
    assert.equal(head(59), '');
    const first = rendered(50).split('\n').slice(0, 5);
    assert.deepEqual(first, [
      'jane@example.org',
      '  OK, google',
      '  token      ████████░░ 45 min',
      '  refreshed  15 min ago',
      '  sign in    perhaps in 5 d',
    ]);
  });

  it('shows what is left of a token as a bar, in ASCII where the locale knows no other', () => {
    const bar = (minutes: number, more: Partial<Screen> = {}): string => {
      const account = {
        ...JANE,
        last_refresh_at: at(minutes * MINUTE - 60 * MINUTE),
        access_token_expires_at: at(minutes * MINUTE),
      };
      const text = rendered(120, { ...VIEW, accounts: [account] }, more);
      return /OK +(.*?) {2}/.exec(line(text, 'jane'))?.[1] ?? '';
    };
    assert.equal(bar(60), '██████████ 1 h');
    assert.equal(bar(30), '█████░░░░░ 30 min');
    assert.equal(bar(1), '█░░░░░░░░░ 1 min');
    assert.equal(bar(0), 'expired');
    assert.equal(bar(30, { unicode: false }), '#####..... 30 min');
  });

  it('does not say how long a token lives that was issued in the future', () => {
    const account = { ...JANE, last_refresh_at: at(DAY), access_token_expires_at: at(DAY + 60 * MINUTE) };
    const text = rendered(120, { ...VIEW, accounts: [account] });
    assert.match(line(text, 'jane'), /OK +unknown +in the future/);
  });

  it('stays in its columns with colours and wide characters', () => {
    const path = '/run/郵便/exim.sock';
    const sockets = [
      { ...SOCKET, path },
      { ...SOCKET, path: '/x' },
    ];
    const coloured = rendered(120, { ...VIEW, sockets }, { colour: true });
    assert.match(coloured, /\x1b\[31mAUTHORIZATION REQUIRED\x1b\[39m/);
    const plain = stripVTControlCharacters(coloured);
    assert.equal(plain, rendered(120, { ...VIEW, sockets }));
    const column = (text: string): number => displayWidth(text.slice(0, text.indexOf('0660')));
    assert.equal(column(line(plain, path)), column(line(plain, '/x')));
  });

  it('hands no control characters on', () => {
    const sockets = [{ ...SOCKET, path: '/tmp/\x1b[2Jx\u202e.sock', error: 'gone\rhidden' }];
    const accounts = [{ ...CAROL, reason: 'a\x1b]0;b\x07', explanation: 'c\x9bd' }];
    assert.doesNotMatch(rendered(80, { ...VIEW, sockets, accounts }), /[^\P{C}\n]/u);
  });
});

describe('the status in a file or a pipe', () => {
  it('has all columns and one line for each account, without bars', () => {
    const text = rendered(Infinity);
    assert.match(text, /^ACCOUNT +PROVIDER +STATE +TOKEN +REFRESHED +SIGN IN AGAIN +WHY$/m);
    assert.match(text, /^jane@example\.org +google +OK +45 min +15 min ago +perhaps in 5 d +7 days after.*$/m);
    assert.doesNotMatch(text, /█/);
  });
});

describe('the next sign-in', () => {
  const shown = (next: AccountStatus['next_sign_in'], used = -15 * MINUTE): string => {
    const { next_sign_in: _none, ...account } = JANE;
    const accounts = [{ ...account, last_refresh_at: at(used), ...(next && { next_sign_in: next }) }];
    return /ago +(.*?)(?: {2}|$)/.exec(line(rendered(Infinity, { ...VIEW, accounts }), 'jane'))?.[1] ?? '';
  };

  it('is told as surely as it is known', () => {
    assert.equal(shown({ certainty: 'stated', at: at(DAY), reason: 'r' }), 'in 1 d');
    assert.equal(shown({ certainty: 'learned', at: at(-1), reason: 'r' }), 'any time now');
    assert.equal(shown({ certainty: 'due', reason: 'r' }), 'now');
    assert.equal(shown({ certainty: 'unknown', reason: 'r' }), 'not foreseeable');
    assert.equal(shown(undefined), '-', 'an older broker does not say');
  });

  it('that comes only unused is no forecast before it is near', () => {
    assert.equal(shown({ certainty: 'unused', at: at(90 * DAY), reason: 'r' }), 'not foreseeable');
    assert.equal(shown({ certainty: 'unused', at: at(29 * MINUTE), reason: 'r' }), 'not foreseeable');
    assert.equal(shown({ certainty: 'unused', at: at(5 * DAY), reason: 'r' }, -85 * DAY), 'in 5 d if unused');
  });
});

describe('many accounts', () => {
  const many = Array.from({ length: 10_000 }, (_, index): AccountStatus => ({
    ...JANE,
    address: `user${index}@example.org`,
  }));
  const view = { ...VIEW, accounts: [...many.slice(2), CAROL, WORK] };

  it('on a terminal are those that need somebody, and how many the others are', () => {
    const text = rendered(80, view);
    assert.ok(text.split('\n').length < 25, text);
    assert.match(text, /^carol@example\.org/m);
    assert.match(text, /^jane@work\.example/m);
    assert.match(text, /^10,000 accounts: 9,999 OK, 1 AUTHORIZATION REQUIRED; 9,998 not shown: cms\s+status\s+--all$/m);
  });

  it('are all there in a pipe, and where all are asked for, without long waiting', () => {
    // Of the processor, not of the clock: other programs may be at work.
    const before = process.cpuUsage();
    for (const text of [rendered(Infinity, view), rendered(120, view, {}, true)]) {
      assert.equal(text.match(/^user\d+@[^:\n]*$/gm)?.length, 9998);
      assert.doesNotMatch(text, /not shown/);
      assert.ok(text.split('\n').length < 10_025, 'the same forecast is told once');
    }
    const { user, system } = process.cpuUsage(before);
    assert.ok(user + system < 3_000_000, `${(user + system) / 1000} ms`);
  });

  it('that share a trouble are told about it once', () => {
    const locked = many.map((account): AccountStatus => {
      return { ...account, state: 'locked', reason: 'the keyring is locked', since: at(-MINUTE), remedy: 'cms unlock' };
    });
    const text = rendered(Infinity, { ...VIEW, accounts: locked });
    const said =
      'user0@example.org, user1@example.org, user2@example.org and 9,997 more: LOCKED for 1 min: the keyring';
    assert.equal(text.split(said).length, 2);
    assert.equal(text.match(/^ {2}cms unlock$/gm)?.length, 1);
  });
});

describe('an account in trouble', () => {
  for (const [state, word] of [
    ['degraded', 'DEGRADED'],
    ['locked', 'LOCKED'],
    ['unreadable', 'UNREADABLE'],
    ['failing', 'FAILING'],
    ['refused', 'REFUSED'],
  ] as const) {
    it(`is ${word}, with since when and what to do`, () => {
      const account: AccountStatus = { ...JANE, state, reason: 'why', since: at(-7 * MINUTE), remedy: 'do this' };
      for (const columns of [40, 80, Infinity]) {
        const text = rendered(columns, { ...VIEW, accounts: [account] });
        const said = `jane@example.org: ${word} for 7 min: why do this`;
        assert.ok(text.replace(/\s+/g, ' ').includes(said), text);
        assert.equal(text.split(word).length, 3, 'in the table too');
      }
    });
  }
});

describe('the status without a broker', () => {
  it('says how to start one', () => {
    const text = rendered(Infinity, { ...VIEW, broker: null, sockets: [] });
    assert.match(text, /^broker: none runs \(\/run\/user\/1\/cms\/cms\.sock\).*cms serve.*cms service install$/m);
  });

  it('says how to begin where there are no accounts', () => {
    assert.match(
      rendered(80, { ...VIEW, broker: null, sockets: [], accounts: [] }),
      /^no accounts yet; .*cms account add/,
    );
  });
});
