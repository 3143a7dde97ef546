import assert from 'node:assert/strict';
import type { MailServer, Protocol } from '../../../src/lib/accounts/account.ts';
import { reach } from '../../../src/lib/mail/reach.ts';
import { trustedCertificate, untrustedCertificate } from '../../support/certificates.ts';
import { type Script, ScriptedServer } from './scripted-server.ts';

const TALKS: Record<Protocol, { greeting: string; script: Script; heard: string[] }> = {
  smtp: {
    greeting: '220-hello\r\n220 ready',
    script: (line) => (line === 'STARTTLS' ? { starttls: '220 go' } : '250-hello\r\n250 STARTTLS'),
    heard: ['*EHLO localhost', '*STARTTLS'],
  },
  imap: {
    greeting: '* OK ready',
    script: () => ({ starttls: '* CAPABILITY IMAP4rev1\r\na OK go' }),
    heard: ['*a STARTTLS'],
  },
  pop: { greeting: '+OK ready', script: () => ({ starttls: '+OK go' }), heard: ['*STLS'] },
};

async function go(protocol: Protocol, server: MailServer) {
  const { ca } = await trustedCertificate();
  const steps: string[] = [];
  const failed = await reach({ protocol, server, ca, timeoutMs: 2000, done: (step) => steps.push(step) });
  return { steps, failed };
}

describe('the way to a mail server', () => {
  for (const protocol of ['smtp', 'imap', 'pop'] as const) {
    const { greeting, script, heard } = TALKS[protocol];

    it(`goes through STARTTLS with ${protocol}, and sends nothing more`, async () => {
      await using scripted = await ScriptedServer.start(greeting, script, 'starttls');
      const { steps, failed } = await go(protocol, scripted.server('starttls'));
      assert.deepEqual([steps, failed], [['resolve', 'connect', 'tls'], undefined]);
      assert.deepEqual(scripted.heard, heard);
    });

    it(`ends where ${protocol} offers no TLS, with the words of the server`, async () => {
      const no = { smtp: '502 not here', imap: 'a BAD not here', pop: '-ERR not here' }[protocol];
      const refusing: Script = (line) => (line.startsWith('EHLO') ? '250 hello' : no);
      await using scripted = await ScriptedServer.start(greeting, refusing, 'starttls');
      const { steps, failed } = await go(protocol, scripted.server('starttls'));
      assert.deepEqual([steps, failed?.step, failed?.failure.kind], [['resolve', 'connect'], 'tls', 'protocol']);
      assert.match(failed?.failure.detail ?? '', /offers no ST(?:ART)?(?:LS|TLS).*not here$/);
    });
  }

  it("ends at a stranger's certificate", async () => {
    await using scripted = await ScriptedServer.start('+OK', () => '', 'implicit', await untrustedCertificate());
    const { failed } = await go('pop', scripted.server());
    assert.deepEqual([failed?.step, failed?.failure.kind], ['tls', 'certificate']);
  });

  it('says why TLS does not begin, without lines of OpenSSL', async () => {
    await using scripted = await ScriptedServer.start('220 ready', () => '', 'starttls');
    const server = scripted.server('implicit');
    const { failed } = await go('smtp', server);
    assert.equal(failed?.step, 'tls');
    assert.match(
      failed.failure.detail,
      new RegExp(`^${server.host}:${server.port}: (?:wrong version number|packet length too long)$`),
    );
  });

  it('ends in time where nobody speaks', async () => {
    await using scripted = await ScriptedServer.start(undefined, () => undefined, 'starttls');
    const { failed } = await go('smtp', scripted.server('starttls'));
    assert.deepEqual([failed?.step, failed?.failure.kind], ['tls', 'unreachable']);
    assert.match(failed?.failure.detail ?? '', /no answer within 2000 ms/);
  });
});
