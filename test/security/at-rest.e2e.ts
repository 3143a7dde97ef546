/** What lies on the disk: whose it is, who may read it, and what is made of files that somebody has been at. */
import assert from 'node:assert/strict';
import {
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { CmsError, messageOf } from '../../src/lib/core/errors.ts';
import { openContext } from '../../src/lib/context.ts';
import { openTokens } from '../../src/lib/tokens/open.ts';
import { prepareVault } from '../../src/lib/enrol/store-account.ts';
import { CMS_PROGRAM, spawnCms } from '../support/environment.ts';
import { run, start } from '../support/processes.ts';
import { asRoot, requiresRoot } from '../support/requirements.ts';
import { talk } from '../support/wire.ts';
import { startWorld, type World } from '../support/world.ts';
import { OTHER_USER } from './second-user.ts';

const JANE = 'jane@example.org';

describe('what lies on the disk', function () {
  this.timeout(30_000);
  let world: World;
  let folders: string[];
  let pristine: string;

  before(async () => {
    // The files are put back between the tests, and older tokens with them.
    world = await startWorld({ refreshTokens: 'keep' });
    const { configDir, stateDir, path } = world.home;
    assert.equal((await world.add(JANE, '--no-test')).status, 0);
    await serveOnce();
    folders = [configDir, stateDir];
    pristine = join(path, 'pristine');
    for (const folder of folders) cpSync(folder, join(pristine, folder), { recursive: true });
  });
  afterEach(() => {
    for (const folder of folders) {
      rmSync(folder, { recursive: true, force: true });
      cpSync(join(pristine, folder), folder, { recursive: true });
    }
  });
  after(() => world[Symbol.asyncDispose]());

  /** A broker that answers one request, and one command: so that every file there can be is there. */
  async function serveOnce(): Promise<string> {
    const broker = spawnCms(['serve'], { env: world.env });
    const up = await Promise.race([
      broker.waitFor(/listening socket=/).then(
        () => true,
        () => false,
      ),
      broker.exited.then(() => false),
    ]);
    if (up) await talk(join(world.home.runtimeDir, 'cms.sock'), `SMTP ${JANE}`);
    return (await broker.stop()).stderr;
  }

  const sealedFile = (): string => {
    const [name = ''] = readdirSync(join(world.home.stateDir, 'vault'));
    return join(world.home.stateDir, 'vault', name);
  };

  // Row 16; that each byte counts is in test/lib/vault/seal.test.ts.
  it('is refused where a byte of it was changed or cut off, and never written over', async () => {
    const path = sealedFile();
    const whole = readFileSync(path);
    const account = (await openContext(world.env).accounts.list())[0]!;
    for (let at = 0; at < whole.length; at += 7) {
      const flipped = Buffer.from(whole);
      flipped[at] = flipped[at]! ^ 1;
      for (const damaged of [flipped, whole.subarray(0, at)]) {
        writeFileSync(path, damaged);
        const thrown = await openTokens(openContext(world.env))
          .accessToken(account, { forceRefresh: true })
          .catch((error: unknown) => error);
        assert.ok(thrown instanceof CmsError, String(thrown));
        assert.match(thrown.code, /^(data_invalid|store_unavailable|config_invalid)$/);
        assert.deepEqual(readFileSync(path), damaged, `byte ${at}`);
      }
    }
    assert.equal((await world.cms('token', JANE)).status, 65);
    await serveOnce();
    assert.deepEqual(readFileSync(path), whole.subarray(0, whole.length - (whole.length % 7 || 7)), 'by a broker');
  });

  // Row 25.
  it('is not read or written through a link, whichever file somebody put it in place of', async () => {
    const victim = join(world.home.path, 'victim');
    const audit = join(world.home.stateDir, 'audit.jsonl');
    const files = folders.flatMap((folder) => filesBelow(folder));
    for (const name of [
      'accounts.json',
      'vault.key',
      '.sealed',
      '.lock',
      'accounts.lock',
      'broker.lock',
      'audit.jsonl',
    ]) {
      assert.ok(
        files.some((file) => file.endsWith(name)),
        name,
      );
    }
    for (const file of files) {
      rmSync(file);
      const content = 'something of somebody else\n';
      writeFileSync(victim, content, { mode: 0o644 });
      symlinkSync(victim, file);
      if (file === audit || file.endsWith('broker.lock')) await serveOnce();
      else if (file.endsWith('vault-key.lock')) assert.equal((await world.cms('store', 'move', 'file')).status, 74);
      else
        assert.ok(
          (await useAll()).some((error) => error instanceof CmsError),
          `${file} is used`,
        );
      assert.equal(readFileSync(victim, 'utf8'), content, `written through ${file}`);
      assert.equal(statSync(victim).mode & 0o777, 0o644, file);
      assert.ok(lstatSync(file).isSymbolicLink(), `${file} was replaced`);
      rmSync(file);
      if (/\.(?:sealed|key|json)$/.test(file)) await refusesCopy(file);
      cpSync(join(pristine, file), file);
    }
  });

  /** Whole and good as it is, it lies where somebody else could exchange it. */
  async function refusesCopy(file: string): Promise<void> {
    symlinkSync(join(pristine, file), file);
    const { accounts, vault } = openContext(world.env);
    const read = file.endsWith('.json') ? accounts.read() : file.endsWith('.key') ? vault.key() : vault.read(JANE);
    await assert.rejects(read, { name: 'CmsError' }, `${file} is read`);
    rmSync(file);
  }

  /** Everything that commands do with the files, in this process. @returns what each of them threw */
  async function useAll(): Promise<unknown[]> {
    const context = openContext(world.env);
    const failure = (work: Promise<unknown>): Promise<unknown> =>
      work.then(
        () => undefined,
        (error: unknown) => error,
      );
    const refresh = context.accounts
      .list()
      .then(([account]) => openTokens(context).accessToken(account!, { forceRefresh: true }));
    return Promise.all([
      failure(context.accounts.update((file) => file)),
      failure(refresh),
      failure(prepareVault(context, { store: 'file', interactive: false })),
    ]);
  }

  // Row 25.
  for (const [what, spoil] of [
    [
      'belongs to another user',
      async (folder: string) => {
        // Open enough to be read: it has to be refused for its owner.
        await run('chmod', ['0755', folder]);
        await run(...argvOf(asRoot(['chown', OTHER_USER, folder])));
      },
    ],
    ['can be written to by a group', (folder: string) => run('chmod', ['0770', folder])],
    [
      'is a link',
      async (folder: string) => {
        renameSync(folder, `${folder}.real`);
        symlinkSync(`${folder}.real`, folder);
      },
    ],
  ] as const) {
    it(`is not used in a folder that ${what}`, async function () {
      requiresRoot(this);
      const { configDir, stateDir } = world.home;
      for (const folder of [configDir, stateDir, join(stateDir, 'vault'), join(stateDir, 'lock')]) {
        await spoil(folder);
        const before = filesBelow(stateDir).map((file) => readFileSync(file, 'hex'));
        const failures = (await useAll()).filter((error) => error !== undefined);
        assert.ok(failures.length > 0, `${folder} is used`);
        for (const error of failures)
          assert.match(messageOf(error), /must be a directory that you own and no one else can/);
        const after = filesBelow(stateDir).map((file) => readFileSync(file, 'hex'));
        if (folder !== configDir) assert.deepEqual(after, before, folder);
        if (folder === stateDir) assert.match(await serveOnce(), /cms: error: .* must be a directory that you own/);
        await restore(folder);
      }
    });
  }

  async function restore(folder: string): Promise<void> {
    await run(...argvOf(asRoot(['chown', '-h', String(process.getuid?.() ?? 0), folder])));
    rmSync(folder, { recursive: true, force: true });
    rmSync(`${folder}.real`, { recursive: true, force: true });
    cpSync(join(pristine, folder), folder, { recursive: true });
  }

  // Row 26.
  it('is for its owner alone, whatever the umask', async () => {
    const modesUnder = async (umask: string): Promise<void> => {
      const home = join(world.home.path, `umask-${umask}`);
      mkdirSync(home);
      const env = {
        ...world.env,
        HOME: home,
        CMS_CONFIG_DIR: join(home, 'config'),
        CMS_STATE_DIR: join(home, 'state'),
        CMS_RUNTIME_DIR: join(home, 'run'),
        CMS_TEST_LOGIN: JANE,
      };
      const shell = ['-c', `umask ${umask}; exec "$0" "$@"`, process.execPath, CMS_PROGRAM];
      const adding = await run('sh', [...shell, 'account', 'add', JANE, ...world.serverFlags, '--no-test'], { env });
      assert.equal(adding.status, 0, adding.stderr);
      await using broker = start('sh', [...shell, 'serve'], { env });
      await broker.waitFor(/listening socket=/);
      await talk(join(home, 'run', 'cms.sock'), `SMTP ${JANE}`);
      await talk(join(home, 'run', 'cms.sock'), `REFRESH ${JANE}`);
      while (!readdirSync(join(home, 'state')).includes('audit.jsonl')) await run('true', []);
      const modes = readdirSync(home, { recursive: true, withFileTypes: true }).map((entry) => {
        const path = join(entry.parentPath, entry.name);
        const kind = entry.isDirectory() ? 'folder' : entry.isSocket() ? 'socket' : 'file';
        return `${kind} ${(lstatSync(path).mode & 0o777).toString(8)}`;
      });
      assert.deepEqual([...new Set(modes)].sort(), ['file 600', 'folder 700', 'socket 600']);
      assert.ok(modes.length >= 10, modes.join());
    };
    await Promise.all(['000', '077'].map(modesUnder));
  });
});

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

function argvOf([command = '', ...argv]: string[]): [string, string[]] {
  return [command, argv];
}
