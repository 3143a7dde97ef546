import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { adminMail } from '../../../src/lib/explain/admin-mail.ts';
import { type Entry, isPlain } from '../../../src/lib/explain/entry.ts';
import {
  CATALOGUE,
  effectOnGrant,
  effectOnSignIn,
  explain,
  fromWords,
  type Observation,
} from '../../../src/lib/explain/explain.ts';
import { classifyTokenAnswer } from '../../../src/lib/oauth/token/classify.ts';
import { renderAdminMail } from '../../../src/cli/report-failure.ts';

const JANE = 'jane@example.org';

function isCatalogue(value: unknown): value is Entry[] {
  return Array.isArray(value) && value.some((each) => typeof each === 'object' && each !== null && 'example' in each);
}

/** The example as it would be seen. */
function observations({ sources, match, example }: Entry): Observation[] {
  return sources.map((source) => ({
    source,
    ...(source === 'oauth' ? fromWords(example) : { text: example }),
    credential: match.credential,
    age: match.age?.[0],
  }));
}

describe('the catalogue of refusals', () => {
  for (const entry of CATALOGUE) {
    it(`explains its own example: ${entry.id}`, () => {
      for (const seen of observations(entry)) {
        const explanation = explain(seen);
        assert.equal(explanation.id, entry.id, seen.source);
        assert.equal(explanation.words, entry.example);
      }
    });
  }

  const aadsts = (...codes: number[]) => codes.map((code) => `AADSTS${code}`);
  /** As the providers document them. */
  const CLASSES: Record<string, string[]> = {
    'sign in again': [
      'invalid_grant',
      ...['login_required', 'account_selection_required', 'expired_token', 'code_expired', 'bad_verification_code'],
      ...aadsts(50173, 700082, 70008, 70000, 70043, 50132, 50133, 50089, 700084, 50085, 54005, 70018, 70019),
    ],
    'extra check': ['interaction_required', ...aadsts(50076, 50078, 50079, 50072, 50074)],
    consent: ['consent_required', 'access_denied', 'authorization_declined', ...aadsts(65001, 65004)],
    administrator: [
      'admin_policy_enforced',
      ...aadsts(90094, 90095, 50105, 53000, 53001, 53002, 53003, 530032, 530035),
    ],
    account: aadsts(50057, 50034, 50020, 500208, 50053, 50055, 50144, 50126),
    'client configuration': [
      ...['invalid_client', 'unauthorized_client', 'invalid_scope', 'unsupported_grant_type', 'invalid_request'],
      ...['invalid_resource', 'invalid_target', 'unsupported_response_type', 'deleted_client', 'disabled_client'],
      ...['org_internal', 'disallowed_useragent', 'redirect_uri_mismatch'],
      ...aadsts(7000215, 7000222, 7000218, 700025, 70002, 700016, 70001, 7000112, 50011, 50194, 9001023, 9002332),
      ...aadsts(90002, 90038, 70011, 28000, 28002, 700022, 65002, 650057),
    ],
    transient: [
      ...['temporarily_unavailable', 'server_error', 'authorization_pending'],
      ...aadsts(50033, 50087, 70012, 70016, 90006, 90012, 90024, 90033, 90055, 90090, 80002, 80005),
    ],
    'back off': ['slow_down', ...aadsts(50196)],
  };
  for (const [kind, codes] of Object.entries(CLASSES)) {
    it(`knows what belongs to the class "${kind}"`, () => {
      for (const code of codes) {
        const said = code.startsWith('AADSTS') ? { code: 'invalid_grant', text: `${code}: Words.` } : { code };
        assert.equal(explain({ source: 'oauth', ...said }).class, kind, code);
      }
    });
  }

  /** What mail servers say, as they say it. */
  const SERVERS: Record<string, [source: 'smtp' | 'imap' | 'pop', ...words: string[]][]> = {
    'sign in again': [
      ['smtp', '535 5.7.8 Username and Password not accepted.', '535 5.7.3 Authentication unsuccessful'],
      ['smtp', '535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.'],
      ['imap', 'NO AUTHENTICATE failed.', 'NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)'],
      ['pop', '-ERR [AUTH] Authentication failed.', '-ERR Authentication failure: unknown user name or bad password.'],
    ],
    'extra check': [
      ['smtp', '534 5.7.14 Please log in via your web browser and then try again.'],
      ['imap', 'NO [WEBALERT https://accounts.google.com/] Web login required.'],
    ],
    administrator: [
      ['smtp', '535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.'],
      ['smtp', '535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.'],
      ['smtp', '554 5.2.252 SendAsDenied; a@example.org not allowed to send as b@example.org'],
      ['smtp', '550 5.7.60 SMTP; Client does not have permissions to send as this sender'],
    ],
    account: [
      ['imap', 'BAD User is authenticated but not connected.'],
      ['pop', '-ERR [SYS/PERM] Your account is not enabled for POP access.'],
    ],
    'client configuration': [
      ['smtp', '534 5.7.9 Application-specific password required.', '501 5.5.127 Token will expire soon'],
      ['smtp', '550 5.7.30 Basic authentication is not supported for Client Submission.'],
      ['smtp', '530 5.7.57 Client not authenticated to send mail.', '530 5.7.0 Authentication Required.'],
      ['smtp', '530 5.7.0 Must issue a STARTTLS command first.', '538 5.7.11 Encryption required'],
      ['smtp', '555 5.5.2 Syntax error, command line too long.', '500 5.5.2 Line too long'],
      ['smtp', '504 5.5.4 Unrecognized authentication type', '502 5.5.1 Command not implemented'],
      ['smtp', '534 5.7.9 Authentication mechanism is too weak', '500 5.5.6 Authentication exchange line is too long'],
    ],
    transient: [
      ['smtp', '454 4.7.0 Temporary authentication failure', '451 4.7.0 Temporary server error. PRX4'],
      ['imap', 'NO [UNAVAILABLE] Temporary authentication failure', 'BYE Service Unavailable'],
      ['pop', '-ERR [SYS/TEMP] later', '-ERR [IN-USE] locked'],
    ],
    'back off': [
      [
        'smtp',
        '454 4.7.0 Too many login attempts, please try again later.',
        '421 4.7.0 Try again later, closing connection.',
      ],
      ['smtp', '432 4.3.2 Concurrent connections limit exceeded.', '550 5.4.5 Daily user sending limit exceeded.'],
      ['imap', 'NO [LIMIT] Too many', 'NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)'],
      ['pop', '-ERR [LOGIN-DELAY] minimum time between mail checks violation'],
    ],
  };
  for (const [kind, rows] of Object.entries(SERVERS)) {
    it(`knows what mail servers say of the class "${kind}"`, () => {
      for (const [source, ...words] of rows)
        for (const text of words) assert.equal(explain({ source, text }).class, kind, text);
    });
  }

  it('knows what a token endpoint answers that is no error of OAuth', () => {
    const classOf = (status: number, body: string): string[] => {
      const outcome = classifyTokenAnswer({ status, body }, []);
      assert.equal(outcome.kind, 'temporary');
      const message = 'message' in outcome ? outcome.message : '';
      const { class: kind, who } = explain({ source: 'oauth', ...fromWords(message) });
      return [kind, who];
    };
    for (const status of [408, 425, 500, 502, 503, 504])
      for (const body of ['', '<html>Bad Gateway</html>', '{"error":"invalid_grant"}'])
        assert.deepEqual(classOf(status, body), ['transient', 'nobody: wait'], `${status} ${body}`);
    for (const [status, body] of [
      [429, '{"error":"slow_down"}'],
      [429, '<html>Later</html>'],
      [400, '{"error":"slow_down"}'],
      [999, '<html>Later</html>'],
    ] as const)
      assert.deepEqual(classOf(status, body), ['back off', 'nobody: wait'], `${status} ${body}`);
    for (const status of [200, 302, 403, 404, 511])
      assert.deepEqual(classOf(status, '<html>Welcome to our hotel</html>'), ['transient', 'you'], String(status));
    for (const status of [302, 511]) assert.deepEqual(classOf(status, ''), ['transient', 'you'], String(status));
    for (const [status, body] of [
      [200, '{}'],
      [404, ''],
      [400, '{"error":"temporarily_unavailable"}'],
      [400, '{"error":"server_error","error_description":"AADSTS90033: Later."}'],
    ] as const)
      assert.deepEqual(classOf(status, body), ['transient', 'nobody: wait'], `${status} ${body}`);
    assert.deepEqual(classOf(400, '{"error":"never_heard_of"}'), ['unknown', 'you']);
  });

  it('has every list that its folder has', async () => {
    const folder = new URL('../../../src/lib/explain/', import.meta.url);
    const files = readdirSync(folder).filter((name) => name.endsWith('.ts'));
    const modules = (await Promise.all(files.map((name) => import(new URL(name, folder).href)))) as object[];
    const lists = modules.flatMap((module) => Object.values(module) as unknown[]).filter(isCatalogue);
    const known = new Set(CATALOGUE.map(({ id }) => id));
    const forgotten = lists.flat().filter(({ id }) => !known.has(id));
    assert.deepEqual(
      forgotten.map(({ id }) => id),
      [],
      'add the list to CATALOGUE in src/lib/explain/explain.ts',
    );
    assert.ok(lists.length > 5);
  });

  it('knows every code by one entry, and every entry by one id', () => {
    const ids = CATALOGUE.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length);
    const codes = CATALOGUE.flatMap((entry) => [
      ...(entry.match.aadsts ?? []),
      ...(isPlain(entry) ? (entry.match.errors ?? []) : []),
    ]);
    assert.equal(new Set(codes).size, codes.length);
  });

  it('speaks in clauses of ASCII, and says at least one thing to do', () => {
    for (const { id, sentence, fix, who, admin } of CATALOGUE) {
      assert.match(sentence, /^[\x20-\x7e]{10,130}[^.\s]$/, id);
      assert.ok(fix.length > 0, id);
      if (who === 'administrator' && admin === undefined) assert.match(fix[0] ?? '', /administrator/, id);
      for (const line of admin?.request ?? []) assert.ok(line.length <= 120, `${id}: ${line}`);
    }
  });

  it('has commands that a shell takes as they stand', () => {
    for (const { id, fix } of CATALOGUE) {
      for (const line of fix.filter((each) => each.startsWith('cms '))) {
        const command = line.replace(/ {2,}# .*$/, '').replace(/"[^"$`]*"/g, '');
        assert.doesNotMatch(command, /[|&;<>()$`\\*?#~!]/, `${id}: ${line}`);
      }
    }
  });

  it('ends a grant only for what a person can mend, and blames the client only for its own faults', () => {
    const allowed = {
      authorization_required: ['sign in again', 'extra check', 'consent'],
      client_invalid: ['client configuration', 'administrator'],
    };
    for (const entry of CATALOGUE) {
      if (entry.grant === undefined) continue;
      assert.ok(isPlain(entry), `${entry.id}: words decide nothing`);
      assert.ok(allowed[entry.grant].includes(entry.class), entry.id);
    }
    const codes = ['invalid_grant', 'invalid_client', 'slow_down', 'server_error', 'expired_token', 'never_heard_of'];
    assert.deepEqual(
      codes.map((error) => effectOnGrant(error)),
      ['authorization_required', 'client_invalid', undefined, undefined, undefined, undefined],
    );
  });

  /** Whatever code the words come with: providers wrap the same trouble in several. */
  const ERRORS = [...new Set(CATALOGUE.flatMap(({ match }) => match.errors ?? []))];
  for (const entry of CATALOGUE.filter(({ sources }) => sources.includes('oauth'))) {
    it(`never asks for a sign-in where it says to wait, and never waits where it asks for one: ${entry.id}`, () => {
      const { code: own = '', text } = fromWords(entry.example);
      const numbers = entry.match.aadsts?.map((number) => `AADSTS${number}: Words.`) ?? [text];
      for (const error of [own, ...ERRORS]) {
        for (const error_description of numbers) {
          const outcome = classifyTokenAnswer({ status: 400, body: JSON.stringify({ error, error_description }) }, []);
          const seen = { source: 'oauth', code: error, text: error_description } as const;
          const { class: kind, who } = explain(seen);
          const name = `${error} (${error_description}): ${kind}, ${who}, ${outcome.kind}`;
          const waits = kind === 'transient' || kind === 'back off' || who === 'nobody: wait';
          if (waits) assert.equal(outcome.kind, 'temporary', name);
          else if (effectOnGrant(error) !== undefined) assert.notEqual(outcome.kind, 'temporary', name);
          if (waits) assert.ok(['transient', 'back off', 'account'].includes(effectOnSignIn(error, error_description)));
        }
      }
    });
  }
});

describe('explain', () => {
  it('hands on what nobody knows, word by word', () => {
    const explanation = explain({ source: 'smtp', code: '535 9.9.9', text: '9.9.9 the moon is wrong' });
    assert.deepEqual([explanation.class, explanation.words], ['sign in again', '535 9.9.9 the moon is wrong']);
    const strange = explain({ source: 'oauth', code: 'strange', text: 'words' });
    assert.deepEqual([strange.class, strange.id, strange.words], ['unknown', 'unknown', 'strange (words)']);
  });

  it("prefers Microsoft's code to the error around it, and does not look for one in a longer number", () => {
    const seen = { source: 'oauth', code: 'invalid_grant' } as const;
    assert.equal(explain({ ...seen, text: 'AADSTS50076: Due to …' }).class, 'extra check');
    assert.equal(explain({ ...seen, text: 'AADSTS5007612: Due to …' }).id, 'invalid-grant');
  });

  it('says that the consent screen is in Testing after seven days, and not after one or eighty', () => {
    const seen = { source: 'oauth', code: 'invalid_grant', text: 'Token has been expired or revoked.' } as const;
    const ids = [1, 7.01, 80].map((age) => explain({ ...seen, age }).id);
    assert.deepEqual(ids, ['google-expired', 'google-testing', 'google-expired']);
  });

  it('tells a password from a token', () => {
    const seen = { source: 'smtp', code: '535 5.7.8', text: '5.7.8 Username and Password not accepted.' } as const;
    assert.match(explain({ ...seen, address: JANE, credential: 'password' }).fix[0] ?? '', /--password-file/);
    assert.equal(explain({ ...seen, address: JANE }).fix[0], `cms token ${JANE} --force-refresh`);
  });

  it('names the commands for this mailbox', () => {
    const { fix, who } = explain({
      source: 'smtp',
      code: '535 5.7.139',
      text: '5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.',
      address: JANE,
      user: 'office@example.org',
    });
    assert.equal(who, 'administrator');
    assert.equal(fix[0], 'Set-CASMailbox -Identity office@example.org -SmtpClientAuthenticationDisabled $false');
    assert.match(fix[1] ?? '', /^Set-TransportConfig -SmtpClientAuthenticationDisabled \$false/);
  });

  it('leaves a placeholder where a value could mean something to a shell', () => {
    const { fix } = explain({ source: 'oauth', code: 'invalid_client', address: JANE, clientId: '$(reboot)' });
    assert.match(fix[0] ?? '', /--client-id CLIENT_ID /);
  });
});

describe('the mail to the administrator', () => {
  const needed = (tokenEndpoint: string) =>
    explain({
      source: 'oauth',
      code: 'access_denied',
      text: 'AADSTS90094: The grant requires administrator permission.',
      address: JANE,
      clientId: '11111111-2222-3333-4444-555555555555',
      scope: 'https://outlook.office.com/SMTP.Send offline_access',
      tokenEndpoint,
    });

  it('holds the address at which the access is allowed, in the right cloud and tenant', () => {
    const consent = (base: string, tenant: string) =>
      `${base}/${tenant}/adminconsent?client_id=11111111-2222-3333-4444-555555555555`;
    for (const [endpoint, base, tenant] of [
      [
        'https://login.microsoftonline.com/contoso.example/oauth2/v2.0/token',
        'https://login.microsoftonline.com',
        'contoso.example',
      ],
      [
        'https://login.microsoftonline.us/organizations/oauth2/v2.0/token',
        'https://login.microsoftonline.us',
        'example.org',
      ],
      ['https://evil.example/a/b', 'https://login.microsoftonline.com', 'example.org'],
    ] as const) {
      const explanation = needed(endpoint);
      assert.equal(explanation.fix[0], `the administrator allows it here: ${consent(base, tenant)}`);
      const mail = adminMail(explanation);
      assert.ok(mail);
      assert.ok(mail.body.includes(`\n  ${consent(base, tenant)}\n`), mail.body);
      assert.ok(mail.body.includes(explanation.words));
    }
  });

  it('can be sent as it stands: one subject line, no braces left, nothing for those who do not need it', () => {
    const mail = adminMail(needed(''));
    assert.ok(mail);
    assert.match(
      renderAdminMail(mail),
      /^Subject: Please allow an app to use the mailbox jane@example\.org\n\nHello,\n/,
    );
    for (const entry of CATALOGUE) {
      const [seen] = observations(entry);
      const each = seen && adminMail(explain({ ...seen, address: JANE }));
      assert.equal(each !== undefined, entry.admin !== undefined, entry.id);
      assert.doesNotMatch(each?.body ?? '', /[{}]/, entry.id);
      assert.doesNotMatch(each?.subject ?? '', /[\r\n{}]/, entry.id);
    }
  });
});
