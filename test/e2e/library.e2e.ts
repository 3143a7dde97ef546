import assert from 'node:assert/strict';
import { run } from '../support/processes.ts';
import { startWorld, type World } from '../support/world.ts';

const JANE = 'jane@example.org';

/** As the README shows it, in a program of its own. */
const PROGRAM = `
  import { createTransport } from 'nodemailer';
  import { CmsError, openTokenService } from 'cms-oauth';
  const [user, port] = process.argv.slice(1);
  const tokens = openTokenService();
  const transport = createTransport({
    host: 'localhost', port: Number(port), requireTLS: true,
    auth: { type: 'OAuth2', user, accessToken: await tokens.accessToken(user) },
  });
  await transport.sendMail({ from: user, to: 'bob@example.com', subject: 'It works', text: 'Hello.' });
  const both = await Promise.all([tokens.token(user), tokens.token(user, { protocol: 'imap' })]);
  const failure = await tokens.token('nobody@example.org').catch((error) => error);
  console.log(JSON.stringify({ both, known: failure instanceof CmsError, code: failure.code }));
`;

describe('the library', function () {
  this.timeout(30_000);
  let world: World;
  before(async () => {
    world = await startWorld();
    assert.equal((await world.add(JANE, '--no-test')).status, 0);
  });
  after(() => world[Symbol.asyncDispose]());

  it('gives nodemailer a token that a mail server takes', async () => {
    const argv = ['--input-type=module', '-e', PROGRAM, JANE, String(world.submission.port)];
    const { stdout, stderr } = await run(process.execPath, argv, { env: world.env });
    assert.equal(stderr, '');
    const { both, known, code } = JSON.parse(stdout) as {
      both: Record<string, unknown>[];
      known: boolean;
      code: string;
    };
    const [message] = world.submission.messages;
    assert.deepEqual(
      [message?.user, message?.mechanism, message?.headers.get('subject')],
      [JANE, 'XOAUTH2', 'It works'],
    );
    for (const { access_token, token_type, expires_at, user } of both) {
      assert.match(String(access_token), /^[A-Za-z0-9._~+/-]+=*$/);
      assert.deepEqual([token_type, user], ['Bearer', JANE]);
      assert.ok(Number(expires_at) > Date.now() / 1000 && Number(expires_at) < Date.now() / 1000 + 3601);
    }
    assert.deepEqual([known, code], [true, 'account_unknown']);
    assert.equal(world.provider.count('refresh_token'), 0, 'the token of the sign-in was still good');
  });
});
