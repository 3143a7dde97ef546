import assert from 'node:assert/strict';
import type { LoginOptions } from '../../../src/lib/mail/login.ts';
import { popLogin } from '../../../src/lib/mail/pop.ts';
import { trustedCertificate, untrustedCertificate } from '../../support/certificates.ts';
import { failure, ScriptedServer } from './scripted-server.ts';
import type { Script } from './scripted-server.ts';

const JANE = 'jane@example.org';
const TOKEN = 'token-of-jane';

async function play(script: Script, options: Partial<LoginOptions> = {}, tls: 'starttls' | 'implicit' = 'implicit') {
  await using scripted = await ScriptedServer.start('+OK ready', script, tls);
  const { ca } = await trustedCertificate();
  const all = { server: scripted.server(tls), user: JANE, accessToken: TOKEN, ca, timeoutMs: 3000, ...options };
  return { result: await popLogin(all as LoginOptions), heard: scripted.heard };
}

function pop(mechanisms: string, verdict: string): Script {
  return (line) => {
    if (line === 'STLS') return { starttls: '+OK begin' };
    if (line === 'CAPA') return `+OK\r\nTOP\r\nSASL ${mechanisms}\r\n.`;
    return line.startsWith('AUTH ') ? '+ ' : verdict;
  };
}

describe('popLogin', () => {
  for (const tls of ['implicit', 'starttls'] as const) {
    it(`logs in with XOAUTH2 over ${tls}`, async () => {
      const { result, heard } = await play(pop('PLAIN XOAUTH2', '+OK logged in'), {}, tls);
      assert.deepEqual(result, { ok: true, user: JANE });
      const commands = heard.map((line) => (line.length > 20 ? Buffer.from(line, 'base64').toString() : line));
      const expected = ['CAPA', 'AUTH XOAUTH2', `user=${JANE}\x01auth=Bearer ${TOKEN}\x01\x01`];
      assert.deepEqual(
        commands.slice(0, 4).filter((line) => line !== 'QUIT'),
        [...(tls === 'starttls' ? ['*STLS'] : []), ...expected],
      );
    });
  }

  it('uses OAUTHBEARER where only that is offered', async () => {
    const { heard } = await play(pop('OAUTHBEARER', '+OK'));
    assert.equal(heard[1], 'AUTH OAUTHBEARER');
  });

  it('reports a refusal after a challenge', async () => {
    const challenge = Buffer.from('{"status":"401"}').toString('base64');
    const { result } = await play((line) => {
      if (line === 'CAPA') return '-ERR unknown';
      if (line === 'AUTH XOAUTH2') return '+';
      return line === '' ? '-ERR [AUTH] Invalid credentials' : `+ ${challenge}`;
    });
    assert.deepEqual(
      [failure(result).kind, failure(result).code, failure(result).reply],
      ['refused', 'AUTH', 'Invalid credentials {"status":"401"}'],
    );
  });

  it('holds a temporary refusal for no judgement, and no mechanism for a matter of the protocol', async () => {
    const later = await play(pop('XOAUTH2', '-ERR [SYS/TEMP] try later'));
    assert.equal(failure(later.result).kind, 'unreachable');
    const never = await play((line) => (line === 'CAPA' ? '+OK\r\nUSER\r\n.' : '-ERR what?'));
    assert.equal(failure(never.result).kind, 'protocol');
  });

  it('logs in with a password, and never without TLS', async () => {
    const password = 'app secret';
    const { result, heard } = await play(() => '+OK', { accessToken: undefined, password } as never);
    assert.equal(result.ok, true);
    assert.deepEqual(heard.slice(0, 2), [`USER ${JANE}`, 'PASS app secret']);
    const plain = await play(() => '-ERR no', { accessToken: undefined, password } as never, 'starttls');
    assert.deepEqual([failure(plain.result).kind, plain.heard], ['protocol', ['*STLS']]);
  });

  it("sends nothing to a server with a stranger's certificate, nor after text slipped in before TLS", async () => {
    const stranger = await untrustedCertificate();
    await using scripted = await ScriptedServer.start('+OK', pop('XOAUTH2', '+OK'), 'implicit', stranger);
    const server = scripted.server();
    const result = await popLogin({ server, user: JANE, accessToken: TOKEN, ca: stranger.ca, timeoutMs: 3000 });
    assert.equal(failure(result).kind, 'certificate');
    assert.deepEqual(scripted.heard, []);
    const injected = await play(() => ({ starttls: '+OK begin\r\n+OK' }), {}, 'starttls');
    assert.equal(failure(injected.result).kind, 'protocol');
    assert.deepEqual(injected.heard, ['*STLS']);
  });

  it('waits for a silent server no longer than it was told, and bounds a line without end', async () => {
    const silent = await play(() => undefined, { timeoutMs: 200 });
    assert.equal(failure(silent.result).kind, 'unreachable');
    const endless = await play(() => 'x'.repeat(9000));
    assert.equal(endless.result.ok, false);
  });
});
