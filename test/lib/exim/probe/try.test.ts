import assert from 'node:assert/strict';
import { failureOf, type LoginOutcome, trySender, type TryPorts } from '../../../../src/lib/exim/probe/try.ts';

const LINES = `jane@example.org: host=smtp.example.org::587 user=jane@example.org oauth=/run/s
office@example.org: host=smtp.example.org::465 user=jane@example.org account=office@example.org oauth=/run/s
pw@example.net: host=mail.example.net user=pw@example.net oauth=/run/s auth=password
hand@example.net: host=mail.example.net::587 user=hand password="p w"
wide@example.net: host=mail_1.example.net::587 user=wide@example.net oauth=/run/s
none@example.net: host=mail.example.net::587 oauth=/run/s
few@example.net: host=mail.example.net::587 user=few@example.net oauth=/run/s users=alice,root
evil@example.net: host=mail.example.net::587 user=evil oauth=/run/s}{x}}\${run{/bin/id}}
`;

interface World {
  ready?: string;
  token?: string;
  login?: LoginOutcome;
  status?: number;
  there?: boolean;
}

function ports(world: World, seen: string[] = []): TryPorts {
  return {
    binary: 'exim4',
    smartHostsFile: '/etc/exim4/exim-smart-hosts',
    asMta: async (argv, input = '') => {
      seen.push([...argv, input.trimEnd()].join(' ').trimEnd());
      if (argv[0] === 'cat') return { status: world.status ?? 0, stdout: LINES, stderr: 'cat: Permission denied' };
      if (argv[0] === 'test') return { status: world.there === false ? 1 : 0, stdout: '', stderr: '' };
      const stdout = input.includes(',ready ') ? (world.ready ?? '') : (world.token ?? '');
      return { status: 0, stdout: `> ${stdout}\n> \n`, stderr: '' };
    },
    login: async (server, credentials) => {
      seen.push(JSON.stringify({ server, ...credentials }));
      return world.login ?? { ok: true };
    },
  };
}

const TOKEN = 'user=jane@example.org\x01auth=Bearer abc\x01\x01';
const LONG = `user=jane@example.org\x01auth=Bearer ${'a'.repeat(3069 - 35)}\x01\x01`;
const short = (steps: { step: string; ok: boolean }[]) =>
  steps.map(({ step, ok }) => `${step} ${ok ? 'ok' : 'failed'}`);

describe('trying a sender', () => {
  it('goes through every step with the token that exim would get', async () => {
    const seen: string[] = [];
    const steps = await trySender('jane@example.org', ports({ token: TOKEN }, seen));
    assert.deepEqual(short(steps), [
      'line ok',
      'socket ok',
      'ready ok',
      'credentials ok',
      'connect ok',
      'certificate ok',
      'login ok',
    ]);
    assert.equal(failureOf('jane@example.org', steps), undefined);
    assert.deepEqual(JSON.parse(seen.at(-1) ?? ''), {
      server: { host: 'smtp.example.org', port: 587, tls: 'starttls' },
      user: 'jane@example.org',
      accessToken: 'abc',
    });
  });

  it('asks for the account and logs in as the user of the line', async () => {
    const seen: string[] = [];
    await trySender('office@example.org', ports({ token: 'user=office@example.org\x01auth=Bearer abc\x01\x01' }, seen));
    assert.deepEqual(
      seen.filter((said) => said.includes('readsocket')),
      [
        'exim4 -be ${readsocket{/run/s}{SMTP,host=smtp.example.org,port=465,ready office@example.org}{20s}}',
        'exim4 -be ${readsocket{/run/s}{SMTP,host=smtp.example.org,port=465 office@example.org}{20s}}',
      ],
    );
    assert.match(seen.at(-1) ?? '', /"port":465,"tls":"implicit".*"user":"jane@example\.org"/);
  });

  it('asks for the app password where the line says so, and takes one that is written there', async () => {
    const seen: string[] = [];
    await trySender('pw@example.net', ports({ token: 'secret' }, seen));
    assert.match(seen.at(-1) ?? '', /"port":587.*"password":"secret"/);
    assert.deepEqual(
      seen.filter((said) => said.includes('readsocket')),
      [
        'exim4 -be ${readsocket{/run/s}{SMTP,host=mail.example.net,port=587,password,ready pw@example.net}{20s}}',
        'exim4 -be ${readsocket{/run/s}{SMTP,host=mail.example.net,port=587,password pw@example.net}{20s}}',
      ],
    );
    await trySender('hand@example.net', ports({}, seen));
    assert.match(seen.at(-1) ?? '', /"user":"hand","password":"p w"/);
  });

  it('takes the line of the address without what follows a +, as exim does', async () => {
    const steps = await trySender('Jane+list@example.org', ports({ token: TOKEN }));
    assert.match(steps[0]?.detail ?? '', /^jane@example\.org: smtp\.example\.org:587 as jane@example\.org$/);
  });

  it('names the mechanism that worked, and the local users whom alone the line serves', async () => {
    const token = 'user=few@example.net\x01auth=Bearer abc\x01\x01';
    const steps = await trySender('few@example.net', ports({ token, login: { ok: true, mechanism: 'OAUTHBEARER' } }));
    assert.match(steps[0]?.detail ?? '', /, for these local users alone: alice,root$/);
    assert.equal(steps.at(-1)?.detail, 'accepted by OAUTHBEARER');
  });

  const failures: [string, string, World, string][] = [
    [
      'a file that the MTA may not read',
      'jane@example.org',
      { status: 1 },
      'line: cannot read /etc/exim4/exim-smart-hosts: Permission denied',
    ],
    ['a file that is not there', 'jane@example.org', { status: 1, there: false }, 'line: there is no /etc/exim4/exim'],
    ['a sender in no line', 'who@nowhere.example', {}, 'line: no line for <who@nowhere.example>'],
    ['a host that exim would not ask for', 'wide@example.net', {}, 'line: the line has no host=NAME::PORT'],
    ['a line without a user', 'none@example.net', {}, 'line: the line has no user='],
    ['a line that exim would expand', 'evil@example.net', {}, 'line: account= or oauth='],
    [
      'a broker that is not there',
      'jane@example.org',
      { ready: 'Failed: failed to connect' },
      'socket: failed to connect',
    ],
    [
      'an account that has to sign in',
      'jane@example.org',
      { ready: 'authorization required' },
      'ready: authorization required',
    ],
    ['an empty answer', 'jane@example.org', {}, 'credentials: the broker gives nothing'],
    [
      'a token that exim cannot send',
      'jane@example.org',
      { token: LONG },
      'credentials: the token is longer than exim',
    ],
    [
      'a password that exim would not send',
      'pw@example.net',
      { token: 'a\tb' },
      'credentials: the broker gives nothing',
    ],
    ['a babbling broker', 'jane@example.org', { token: 'hello' }, 'credentials: the broker gives nothing'],
    [
      'no connection',
      'jane@example.org',
      { token: TOKEN, login: { ok: false, kind: 'unreachable', detail: 'no way' } },
      'connect: no way',
    ],
    [
      'a foreign certificate',
      'jane@example.org',
      { token: TOKEN, login: { ok: false, kind: 'certificate', detail: 'bad' } },
      'certificate: bad',
    ],
    [
      'a refused login',
      'jane@example.org',
      { token: TOKEN, login: { ok: false, kind: 'refused', detail: '535' } },
      'login: 535',
    ],
  ];
  for (const [what, sender, world, expected] of failures) {
    it(`stops at ${what}`, async () => {
      const failure = failureOf(sender, await trySender(sender, ports(world)));
      assert.ok(failure?.message.startsWith(`<${sender}> cannot send: ${expected}`), failure?.message);
    });
  }
});
