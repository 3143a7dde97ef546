/** The broker in this process: its sockets, and what it says of itself. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import type { Account } from '../../../../src/lib/accounts/account.ts';
import { type AuditLine, readAudit } from '../../../../src/lib/broker/server/audit.ts';
import { BrokerLock } from '../../../../src/lib/broker/server/broker-lock.ts';
import { Daemon } from '../../../../src/lib/broker/server/daemon.ts';
import type { BrokerStatus } from '../../../../src/lib/broker/server/status.ts';
import { openContext } from '../../../../src/lib/context.ts';
import { silentLogger, type Logger } from '../../../../src/lib/core/log.ts';
import { openTokens } from '../../../../src/lib/tokens/open.ts';
import { askBrokerForToken } from '../../../../src/cli/fast/token-from-broker.ts';
import { enrolPassword } from '../../../support/enrolled.ts';
import { temporaryHome, type TemporaryHome } from '../../../support/environment.ts';
import { run } from '../../../support/processes.ts';
import { type EmbeddedProvider, faults, startProvider } from '../../../support/provider.ts';
import { talk } from '../../../support/wire.ts';
import { JANE, signInAccount } from '../../tokens/signed-in.ts';

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

  it('serves by the newest settings, however long older ones take to be looked up', async () => {
    await bob();
    const tools = join(home.path, 'tools');
    await mkdir(tools);
    const [asked, go] = [join(home.path, 'asked'), join(home.path, 'go')];
    await mkdir(asked);
    // The group of the socket that is taken away is found when the test says so; whatever is asked is noted.
    const getent = `#!/bin/sh\n: >${asked}/$3\n[ "$3" = slow ] && read -r _ <${go}\necho "$3:x:$(id -g):"\n`;
    await writeFile(join(tools, 'getent'), getent, { mode: 0o755 });
    await run('mkfifo', [go]);
    const { PATH } = process.env;
    process.env.PATH = `${tools}:${PATH}`;
    try {
      const broker = await serve();
      await home.writeConfig('config.toml', `[[socket]]\npath = "${socket('gone')}"\ngroup = "slow"\n`);
      const older = broker.reload();
      while (!(await readdir(asked)).includes('slow')) await setImmediate();
      await home.writeConfig('config.toml', `[[socket]]\npath = "${socket('new')}"\npasswords = true\n`);
      const newer = broker.reload();
      // Overlapping reloads would have come to an end here.
      const early = await Promise.race([newer.then(() => 'early'), sleep(500, 'waits')]);
      assert.equal(early, 'waits');
      await writeFile(go, 'on\n');
      await Promise.all([older, newer]);
      assert.equal(await talk(socket('gone'), `SMTP,password ${BOB}`), 'ENOENT');
      assert.equal(await talk(socket('new'), `SMTP,password ${BOB}`), 'secret of bob');
    } finally {
      process.env.PATH = PATH;
    }
  });

  it('tells the same at once and in pieces', async () => {
    await bob();
    const broker = await serve();
    const said = JSON.parse(await talk(socket(), 'STATUS')) as BrokerStatus;
    const { requests } = said.broker;
    assert.deepEqual(
      said,
      JSON.parse(JSON.stringify({ ...broker.status(), broker: { ...broker.status().broker, requests } })),
    );
  });

  it('stays the only one for its state folder, whatever is deleted in it', async () => {
    await bob();
    await serve();
    const lockFile = join(home.stateDir, 'lock', 'broker.lock');
    const second = async (): Promise<void> => {
      const context = openContext({ ...home.env, CMS_RUNTIME_DIR: join(home.path, 'second') }, { log: silentLogger });
      const starting = Daemon.start({
        ...context,
        openTokens: (more) => openTokens(context, more),
        sockets: [],
        version: '2',
      });
      await assert.rejects(
        starting.then((other) => other.stop()),
        { code: 'cannot_create', message: /a broker runs already/ },
      );
    };
    const lockedAgain = async (): Promise<void> => {
      while (!existsSync(lockFile)) await sleep(10);
    };
    await rm(join(home.stateDir, 'lock'), { recursive: true });
    await second();
    await rm(lockFile);
    await lockedAgain();
    await second();
    await rm(join(home.stateDir, 'lock'), { recursive: true });
    await lockedAgain();
    await second();
    assert.match(await talk(socket(), `SMTP,password ${BOB}`), /secret of bob/);
  });

  it('knows when another one has taken its place', async () => {
    const paths = { stateDir: home.stateDir, lockDir: join(home.stateDir, 'lock') };
    await using first = await BrokerLock.acquire(paths);
    assert.ok(first);
    assert.ok(first.isInPlace());
    assert.equal(await BrokerLock.acquire(paths), undefined);
    await rm(home.stateDir, { recursive: true });
    assert.equal(first.isInPlace(), false);
    assert.equal(await first.renew(), true);
    assert.ok(first.isInPlace());
    assert.equal(await BrokerLock.acquire(paths), undefined);
    await rename(home.stateDir, `${home.stateDir}.old`);
    await using second = await BrokerLock.acquire(paths);
    assert.ok(second);
    assert.ok(second.isInPlace());
    assert.equal(first.isInPlace(), false);
    assert.equal(await first.renew(), false);
    assert.ok(second.isInPlace());
  });

  it('has nothing under way any more when it has ended', async () => {
    const [tools, asked, go] = ['tools', 'asked', 'go'].map((name) => join(home.path, name)) as [
      string,
      string,
      string,
    ];
    await mkdir(tools);
    // The group is not known at first; the lookup of a later tick takes until the test lets it go on.
    const getent = `#!/bin/sh\n[ -p ${go} ] || exit 2\n: >${asked}\nread -r _ <${go}\nexit 2\n`;
    await writeFile(join(tools, 'getent'), getent, { mode: 0o755 });
    await home.writeConfig('config.toml', `[[socket]]\npath = "${socket('late')}"\ngroup = "late"\n`);
    const { PATH } = process.env;
    process.env.PATH = `${tools}:${PATH}`;
    try {
      const broker = await serve();
      await run('mkfifo', [go]);
      while (!existsSync(asked)) await sleep(10);
      const stopping = broker.stop();
      // A broker that leaves its ticker behind would have ended here.
      const early = await Promise.race([stopping.then(() => 'early'), sleep(500, 'waits')]);
      assert.equal(early, 'waits');
      await writeFile(go, 'on\n');
      await stopping;
    } finally {
      process.env.PATH = PATH;
    }
  });

  it('looks after its sockets although the state folder is closed to it', async function () {
    // Root may enter whatever the mode of the folder says.
    if (process.getuid?.() === 0) this.skip();
    await bob();
    await serve();
    assert.equal(await talk(socket(), `SMTP,password ${BOB}`), 'secret of bob');
    await chmod(home.stateDir, 0);
    try {
      await rm(socket());
      while (!existsSync(socket())) await sleep(10);
      assert.equal(await talk(socket(), `SMTP,password ${BOB}`), 'secret of bob');
    } finally {
      await chmod(home.stateDir, 0o700);
    }
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

    const trail = async (): Promise<AuditLine[]> => {
      await daemon?.stop();
      return readAudit(join(home.stateDir, 'audit.jsonl'), 100);
    };

    it('notes once what came too late, or for nobody any more', async () => {
      const { context } = await signInAccount(home.env, provider, { age: 3_600_000 });
      await context.accounts.update((file) => ({
        ...file,
        accounts: { [JANE]: { ...file.accounts[JANE], aliases: ['@jane.example'] } as Account },
      }));
      await serve();
      provider.setFault(faults.first(1, faults.delay(1800)));
      const late = talk(socket(), `SMTP,wait=1,json x@jane.example\n`, { halfClose: false });
      const gone = connect(socket(), () => gone.write(`SMTP,wait=9,token y@jane.example\n`));
      while (provider.count('refresh_token') === 0) await sleep(10);
      gone.destroy();
      assert.match(await late, /temporarily_unavailable/);
      assert.match(await talk(socket(), `SMTP,wait=9 z@jane.example`), /^user=/);
      const lines = await trail();
      assert.deepEqual(lines.map(({ result, account, asked, form }) => [result, account, asked, form]).sort(), [
        ['served', JANE, 'z@jane.example', 'xoauth2'],
        ['temporarily_unavailable', JANE, 'x@jane.example', 'json'],
        ['temporarily_unavailable', JANE, 'y@jane.example', 'token'],
      ]);
    });

    it('serves what a new vault key seals, and goes on with what the former one sealed', async () => {
      const { context, accessToken } = await signInAccount(home.env, provider);
      const broker = await serve();
      assert.match(await talk(socket(), `SMTP,token ${JANE}`), new RegExp(accessToken));
      const before = (await context.accounts.read()).vault_key?.id;
      await rm(context.paths.keyFile);
      // As `account add --store file` does where the key is lost.
      await bob();
      assert.notEqual((await context.accounts.read()).vault_key?.id, before);
      await broker.reload();
      assert.equal(await talk(socket(), `SMTP,password ${BOB}`), 'secret of bob');
      const request = { address: JANE, protocol: 'smtp', forceRefresh: true } as const;
      const answer = await askBrokerForToken(request, home.env);
      assert.ok(answer && provider.issuedTokens.includes(answer.access_token.reveal()));
      assert.notEqual(answer.access_token.reveal(), accessToken);
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
