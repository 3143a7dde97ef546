import assert from 'node:assert/strict';
import { ImapFlow } from 'imapflow';
import { ImapServer, startImap } from './imap.ts';
import type { ImapOptions } from './imap.ts';
import { startProvider } from './provider.ts';
import type { EmbeddedProvider } from './provider.ts';
import { obtainTokens } from './tokens.ts';

const JANE = 'jane@example.org';

type Auth = { user: string; accessToken: string } | { user: string; pass: string; loginMethod?: string };

describe('the IMAP server', () => {
  let provider: EmbeddedProvider;
  let server: ImapServer | undefined;

  before(async () => {
    provider = await startProvider();
  });
  after(() => provider.stop());
  afterEach(() => server?.stop());

  async function start(options: Partial<ImapOptions> = {}): Promise<ImapServer> {
    server = await startImap({ provider, ...options });
    return server;
  }

  function client({ host, port, certificate }: ImapServer, auth: Auth): ImapFlow {
    return new ImapFlow({ host, port, secure: true, auth, logger: false, tls: { ca: certificate.ca } });
  }

  async function visitInbox(imap: ImapServer, auth: Auth): Promise<number> {
    const flow = client(imap, auth);
    await flow.connect();
    const { exists } = await flow.mailboxOpen('INBOX');
    await flow.logout();
    return exists;
  }

  for (const mechanism of ['XOAUTH2', 'OAUTHBEARER']) {
    for (const initialResponse of [true, false]) {
      const how = initialResponse ? 'in one step' : 'in a step of its own';
      it(`lets imapflow in with ${mechanism}, the token ${how}, and out again`, async () => {
        const imap = await start({ mechanisms: [mechanism], initialResponse });
        const { access_token } = await obtainTokens(provider, JANE);
        assert.equal(await visitInbox(imap, { user: JANE, accessToken: access_token }), 0);
        const expected = [{ user: JANE, mechanism, accepted: true, verdict: 'accepted' }];
        assert.deepEqual(imap.authentications, expected);
        assert.equal(imap.commands.at(-1), 'LOGOUT');
      });

      it(`refuses a made-up token with ${mechanism} ${how} and says why in a challenge`, async () => {
        const imap = await start({ mechanisms: [mechanism], initialResponse });
        const refused = client(imap, { user: JANE, accessToken: 'made-up' }).connect();
        await assert.rejects(refused, (error: Error & { authenticationFailed?: boolean; oauthError?: object }) => {
          assert.equal(error.authenticationFailed, true);
          assert.deepEqual(error.oauthError, { status: '400', schemes: 'Bearer', scope: 'https://mail.google.com/' });
          return true;
        });
      });
    }
  }

  it('refuses a token without the scope and one of somebody else', async () => {
    const imap = await start();
    const narrow = await obtainTokens(provider, JANE, 'openid email offline_access mail.smtp');
    const john = await obtainTokens(provider, 'john@example.org');
    for (const { access_token } of [narrow, john]) {
      await assert.rejects(client(imap, { user: JANE, accessToken: access_token }).connect());
    }
    const verdicts = imap.authentications.map(({ verdict }) => verdict);
    assert.deepEqual(verdicts, ['insufficient_scope', 'not_the_mailbox']);
  });

  it('takes the app password that it knows, by AUTHENTICATE and by LOGIN', async () => {
    const passwords = { [JANE]: 'app "password"' };
    const imap = await start({ passwords });
    await visitInbox(imap, { user: JANE, pass: 'app "password"' });
    await assert.rejects(client(imap, { user: JANE, pass: 'another' }).connect());
    await imap.stop();
    const old = await start({ passwords, mechanisms: [] });
    await visitInbox(old, { user: JANE, pass: 'app "password"' });
    assert.equal(old.authentications[0]?.mechanism, 'LOGIN');
  });

  it('refuses a user with the words that a test asks for', async () => {
    const imap = await start();
    imap.refuse(JANE, 'NO [ALERT] Application-specific password required');
    const { access_token } = await obtainTokens(provider, JANE);
    const refused = client(imap, { user: JANE, accessToken: access_token }).connect();
    await assert.rejects(refused, { serverResponseCode: 'ALERT' });
  });

  it('lets a token in and then nowhere, as Exchange does for the wrong mailbox', async () => {
    const imap = await start();
    imap.refuse(JANE, ImapServer.NOT_CONNECTED);
    const { access_token } = await obtainTokens(provider, JANE);
    const refused = client(imap, { user: JANE, accessToken: access_token }).connect();
    await assert.rejects(refused, { response: /User is authenticated but not connected/ });
  });
});
