import assert from 'node:assert/strict';
import { CmsError } from '../../../src/lib/core/errors.ts';
import { imapLogin } from '../../../src/lib/mail/imap.ts';
import type { LoginOptions } from '../../../src/lib/mail/login.ts';
import { trustedCertificate, untrustedCertificate } from '../../support/certificates.ts';
import { startImap } from '../../support/imap.ts';
import { startProvider } from '../../support/provider.ts';
import { obtainTokens } from '../../support/tokens.ts';
import { failure, ScriptedServer } from './scripted-server.ts';

const JANE = 'jane@example.org';
const TOKEN = 'EwBtoken+/==';

interface Behaviour {
  capabilities?: string;
  /** To AUTHENTICATE or LOGIN with everything on one line, or to the second line of two. */
  verdict?: string;
  namespace?: string;
  challenge?: string;
  starttls?: boolean;
}

/** Answers as an IMAP server; `TAG` in a text stands for the tag of the command. */
function imap({
  capabilities = 'AUTH=XOAUTH2 SASL-IR',
  verdict = 'TAG OK done',
  namespace,
  challenge,
  starttls,
}: Behaviour) {
  let tag = '';
  let challenged = false;
  const tagged = (text: string) => text.replaceAll('TAG', tag);
  return (line: string, secure: boolean) => {
    const [first = '', verb = ''] = line.split(' ');
    if (/^(?:CAPABILITY|STARTTLS|AUTHENTICATE|LOGIN|NAMESPACE|LOGOUT|ID|LIST|NOOP)$/i.test(verb)) tag = first;
    switch (verb.toUpperCase()) {
      case 'CAPABILITY':
        return tagged(
          `* CAPABILITY IMAP4rev1 ${secure ? capabilities : starttls === false ? '' : 'STARTTLS LOGINDISABLED'}\r\nTAG OK done`,
        );
      case 'STARTTLS':
        return { starttls: tagged('TAG OK begin') };
      case 'NAMESPACE':
        return tagged(namespace ?? 'TAG BAD unknown');
      case 'LOGOUT':
        return tagged('* BYE\r\nTAG OK done');
      case 'AUTHENTICATE':
        if (line.split(' ').length < 4) return '+ ';
        break;
      default:
    }
    if (challenge !== undefined && !challenged) {
      challenged = true;
      return `+ ${Buffer.from(challenge).toString('base64')}`;
    }
    return tagged(verdict);
  };
}

async function play(
  behaviour: Behaviour,
  options: Partial<LoginOptions> = {},
  tls: 'starttls' | 'implicit' = 'implicit',
) {
  await using scripted = await ScriptedServer.start('* OK ready', imap(behaviour), tls);
  const { ca } = await trustedCertificate();
  const all = { server: scripted.server(tls), user: JANE, accessToken: TOKEN, ca, timeoutMs: 3000, ...options };
  return { result: await imapLogin(all as LoginOptions), heard: scripted.heard };
}

describe('imapLogin', () => {
  for (const tls of ['implicit', 'starttls'] as const) {
    it(`logs in with XOAUTH2 over ${tls} and leaves`, async () => {
      const { result, heard } = await play({}, {}, tls);
      assert.deepEqual(result, { ok: true, user: JANE });
      const sent =
        heard
          .find((line) => line.includes('AUTHENTICATE XOAUTH2'))
          ?.split(' ')
          .at(-1) ?? '';
      assert.equal(Buffer.from(sent, 'base64').toString(), `user=${JANE}\x01auth=Bearer ${TOKEN}\x01\x01`);
      assert.ok(heard.some((line) => line.endsWith('LOGOUT')));
      assert.ok(heard.every((line) => !line.startsWith('*') || /CAPABILITY|STARTTLS/.test(line)));
    });
  }

  it('uses OAUTHBEARER where only that is offered', async () => {
    const { result, heard } = await play({ capabilities: 'AUTH=OAUTHBEARER SASL-IR' });
    assert.equal(result.ok, true);
    assert.ok(heard.some((line) => line.includes('AUTHENTICATE OAUTHBEARER')));
  });

  it('reports a refusal with its code and the challenge in clear', async () => {
    const { result } = await play({
      challenge: '{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}',
      verdict: 'TAG NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)',
    });
    const { kind, code, reply = '' } = failure(result);
    assert.deepEqual([kind, code], ['refused', 'AUTHENTICATIONFAILED']);
    assert.match(reply, /Invalid credentials \(Failure\) \{"status":"400"/);
  });

  it("takes Exchange's login to somebody else's mailbox for what it is", async () => {
    const { result } = await play({
      capabilities: 'AUTH=XOAUTH2 SASL-IR NAMESPACE',
      namespace: 'TAG BAD User is authenticated but not connected.',
    });
    assert.equal(failure(result).kind, 'refused');
    assert.match(failure(result).reply ?? '', /authenticated but not connected/);
  });

  it('holds a temporary refusal for no judgement', async () => {
    const { result } = await play({ verdict: 'TAG NO [UNAVAILABLE] try later' });
    assert.deepEqual([failure(result).kind, failure(result).code], ['unreachable', 'UNAVAILABLE']);
  });

  it('says so when the server takes no tokens at all', async () => {
    const { result } = await play({ capabilities: 'AUTH=PLAIN' });
    assert.equal(failure(result).kind, 'protocol');
    assert.match(failure(result).detail, /authentication mechanism/i);
  });

  it('never goes on without TLS', async () => {
    const { result, heard } = await play({ starttls: false }, {}, 'starttls');
    assert.equal(failure(result).kind, 'protocol');
    assert.ok(heard.every((line) => !/AUTHENTICATE|LOGIN/.test(line)));
  });

  it('logs in with a password, and reports a wrong one without repeating it', async () => {
    const password = 'app secret';
    const right = await play({ capabilities: 'AUTH=PLAIN' }, { accessToken: undefined, password } as never);
    assert.deepEqual(right.result, { ok: true, user: JANE });
    const wrong = await play(
      { capabilities: 'AUTH=PLAIN', verdict: `TAG NO [AUTHENTICATIONFAILED] ${password} is wrong` },
      { accessToken: undefined, password } as never,
    );
    assert.equal(failure(wrong.result).kind, 'refused');
    assert.doesNotMatch(JSON.stringify(wrong.result), /app secret/);
  });

  for (const tls of ['implicit', 'starttls'] as const) {
    it(`sends nothing to a server with a stranger's certificate over ${tls}`, async () => {
      const stranger = await untrustedCertificate();
      await using scripted = await ScriptedServer.start('* OK ready', imap({}), tls, stranger);
      const { ca } = stranger;
      const result = await imapLogin({
        server: scripted.server(tls),
        user: JANE,
        accessToken: TOKEN,
        ca,
        timeoutMs: 3000,
      });
      assert.equal(failure(result).kind, 'certificate');
      assert.ok(scripted.heard.every((line) => !line.includes('AUTHENTICATE')));
    });
  }

  it('waits for a silent server no longer than it was told', async () => {
    await using scripted = await ScriptedServer.start('* OK ready', () => undefined);
    const { ca } = await trustedCertificate();
    const result = await imapLogin({ server: scripted.server(), user: JANE, accessToken: TOKEN, ca, timeoutMs: 200 });
    assert.equal(failure(result).kind, 'unreachable');
  });

  it('sends no token that is none', async () => {
    await assert.rejects(play({}, { accessToken: 'a b' }), (error) => error instanceof CmsError);
  });
});

describe('imapLogin at an IMAP server', () => {
  it("lets the owner and a delegate in, nobody else, and asks for the token's own protocol", async () => {
    const provider = await startProvider();
    const imap = await startImap({ provider, delegates: { 'team@example.org': [JANE] } });
    try {
      const { access_token } = await obtainTokens(provider, JANE);
      const narrow = await obtainTokens(provider, JANE, 'openid email offline_access mail.smtp');
      const server = { host: imap.host, port: imap.port, tls: 'implicit' } as const;
      const login = async (user: string, accessToken: string) =>
        imapLogin({ server, user, accessToken, ca: imap.certificate.ca, timeoutMs: 5000 });
      assert.deepEqual(await login(JANE, access_token), { ok: true, user: JANE });
      assert.deepEqual(await login('team@example.org', access_token), { ok: true, user: 'team@example.org' });
      for (const result of [await login('john@example.org', access_token), await login(JANE, narrow.access_token)]) {
        assert.equal(failure(result).kind, 'refused');
        assert.doesNotMatch(JSON.stringify(result), new RegExp(access_token));
      }
    } finally {
      await imap.stop();
      await provider.stop();
    }
  });
});
