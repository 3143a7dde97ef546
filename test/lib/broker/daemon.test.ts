/** The broker in this process: its sockets, and what it says of itself. */
import assert from 'node:assert/strict';
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Daemon } from '../../../src/lib/broker/daemon.ts';
import { openContext } from '../../../src/lib/context.ts';
import { silentLogger, type Logger } from '../../../src/lib/log.ts';
import { openTokens } from '../../../src/lib/token/open.ts';
import { askBrokerForToken } from '../../../src/token-broker.ts';
import { enrolPassword } from '../../support/enrolled.ts';
import { temporaryHome, type TemporaryHome } from '../../support/environment.ts';
import { run } from '../../support/processes.ts';
import { type EmbeddedProvider, faults, startProvider } from '../../support/provider.ts';
import { talk } from '../../support/wire.ts';
import { JANE, signInAccount } from '../token/signed-in.ts';

const BOB = 'bob@example.org';

describe('the broker', function () {
  this.timeout(30_000);
  let home: TemporaryHome;
  let daemon: Daemon | undefined;

  beforeEach(async () => {
    home = await temporaryHome({ env: { CMS_STORE: 'file' } });
  });
  afterEach(async () => {
    await daemon?.stop();
    await home.remove();
  });

  async function serve(log: Logger = silentLogger): Promise<Daemon> {
    const context = openContext(home.env, { log });
    const version = '1.2.3';
    daemon = await Daemon.start({ ...context, openTokens: (more) => openTokens(context, more), sockets: [], version });
    return daemon;
  }

  const socket = (name = 'cms'): string => join(home.runtimeDir, `${name}.sock`);
  const bob = (password = 'secret of bob'): Promise<unknown> =>
    enrolPassword(home.env, BOB, { host: 'localhost', port: 587, tls: 'starttls' }, password);

  it('hands out an app password of any script, byte for byte', async () => {
    await bob('pässwörd für 5 €');
    await serve();
    const answer = Buffer.from(await talk(socket(), `SMTP,password ${BOB}`), 'latin1');
    assert.equal(answer.toString('utf8'), 'pässwörd für 5 €');
  });

  it('opens each socket once, however many ask for it at the same time', async () => {
    await bob();
    const listening: unknown[] = [];
    const info: Logger['info'] = (message, fields) => message === 'listening' && listening.push(fields?.socket);
    await serve({ ...silentLogger, info });
    const more = Array.from({ length: 8 }, (_, number) => socket(`more${number}`));
    await leaveBehind(more);
    await home.writeConfig('config.toml', more.map((path) => `[[socket]]\npath = "${path}"\n`).join(''));
    await Promise.all([1, 2, 3, 4].map(async () => daemon?.reload()));
    assert.deepEqual(listening.sort(), [socket(), ...more].sort());
  });

  it('ends although the folder of a socket is closed to it by now', async function () {
    // Root may remove files whatever the mode of the folder says.
    if (process.getuid?.() === 0) this.skip();
    await bob();
    const folder = join(home.path, 'closed');
    await mkdir(folder, { mode: 0o700 });
    await home.writeConfig('config.toml', `[[socket]]\npath = "${join(folder, 'x.sock')}"\n`);
    const broker = await serve();
    assert.equal(broker.status().sockets.length, 2);
    await chmod(folder, 0o500);
    await broker.stop();
    assert.equal(await talk(join(folder, 'x.sock'), `SMTP,password ${BOB}`), 'ECONNREFUSED');
    await chmod(folder, 0o700);
  });

  it('does without a socket that names nobody, and serves all others', async () => {
    await bob();
    const errors: unknown[] = [];
    const table = (name: string, more: string): string =>
      `[[socket]]\npath = "${socket(name)}"\npasswords = true\n${more}`;
    await home.writeConfig('config.toml', table('good', '') + table('lost', 'group = "no-such-group"\n'));
    const broker = await serve({ ...silentLogger, error: (_message, fields) => errors.push(fields?.reason) });
    assert.match(
      errors.join('\n'),
      /^there is no group no-such-group for the socket \S+lost\.sock of \S+config\.toml$/,
    );
    assert.match(await talk(socket('good'), `SMTP,password ${BOB}`), /secret of bob/);
    assert.deepEqual(
      broker.status().sockets.flatMap(({ path, error }) => (error === undefined ? [] : [path])),
      [socket('lost')],
    );
    await home.writeConfig('config.toml', table('good', '') + table('lost', ''));
    await broker.reload();
    assert.match(await talk(socket('lost'), `SMTP,password ${BOB}`), /secret of bob/);
  });

  describe('with a provider', () => {
    let provider: EmbeddedProvider;
    beforeEach(async () => {
      provider = await startProvider();
    });
    afterEach(() => provider.stop());

    it('says that an account cannot be refreshed because of what is set here', async () => {
      const { account, context } = await signInAccount(home.env, provider, { age: 3_600_000 });
      const client = { ...account.client, ca_file: '/there/is/none.pem' };
      await context.accounts.update((file) => ({ ...file, accounts: { [JANE]: { ...account, client } } }));
      const broker = await serve();
      assert.match(await talk(socket(), `SMTP,ready ${JANE}`), /^config invalid: .*none\.pem: ENOENT/);
      const [status] = broker.status().accounts;
      assert.deepEqual([status?.state, status?.code], ['failing', 'config_invalid']);
      assert.match(status?.reason ?? '', /none\.pem/);
      assert.equal(provider.allRequests.length, 0);
    });

    it('waits for a provider that takes longer than exim would', async () => {
      await signInAccount(home.env, provider);
      await serve();
      provider.setFault(faults.first(1, faults.delay(4500)));
      const request = { address: JANE, protocol: 'smtp', forceRefresh: true } as const;
      const answer = await askBrokerForToken(request, home.env);
      assert.ok(answer && provider.issuedTokens.includes(answer.access_token.reveal()));
      assert.equal(provider.count('refresh_token'), 1);
    });
  });
});

/** Files of sockets that nobody listens on any more, as a killed broker leaves them: it takes a moment to see that. */
async function leaveBehind(paths: readonly string[]): Promise<void> {
  const script = `
    const { createServer } = require('node:net');
    let open = 0;
    const paths = ${JSON.stringify(paths)};
    const opened = () => { if (++open === paths.length) process.kill(process.pid, 'SIGKILL'); };
    for (const path of paths) createServer().listen(path, opened);`;
  const { signal } = await run(process.execPath, ['-e', script], { env: {} });
  assert.equal(signal, 'SIGKILL');
}
