/** `npm run demo` as a stranger starts it. */
import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run, start } from '../support/processes.ts';
import { runInTerminal } from '../support/pty.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const DEMO = ['--import', 'tsx', join(ROOT, 'demo', 'main.ts')];
const TIMEOUT_MS = 90_000;

describe('npm run demo', function () {
  this.timeout(TIMEOUT_MS);
  let folder = '';

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cms-demo-test-'));
    // Else the demo goes elsewhere, and what it leaves is not seen here.
    await chmod(folder, 0o711);
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const surroundings = () => ({
    cwd: ROOT,
    env: { PATH: process.env.PATH, HOME: folder, TMPDIR: folder, TSX_DISABLE_CACHE: '1' },
  });

  it('goes from the sign-in to the received message, and leaves nothing behind', async () => {
    const { status, stdout, stderr } = await run(process.execPath, DEMO, { ...surroundings(), timeoutMs: TIMEOUT_MS });
    assert.equal(status, 0, stderr);
    assert.equal(stderr, '');
    for (const said of [/signed in as jane@example\.org/, /\$ cms serve/, /jane@example\.org +\S+ +OK/])
      assert.match(stdout, said);
    assert.match(stdout, /login {5}jane@example\.org, by XOAUTH2/);
    assert.match(stdout, /subject {3}It works/);
    await assertNothingLeft(folder);
  });

  for (const cols of [50, 80])
    it(`breaks its lines between words in a terminal of ${cols} columns`, async () => {
      const terminal = runInTerminal(process.execPath, DEMO, { ...surroundings(), cols });
      const [whole] = await terminal.waitFor(/1\. Start a provider[^]*What next[^]*cms serve/, TIMEOUT_MS);
      assert.equal((await terminal.wait()).status, 0);
      const long = whole.split('\n').filter((line) => line.length > cols);
      // A word of a command is broken by the terminal alone, so that it can be pasted.
      const aWord = /^\S+$|^ {3}(?:\$| {3}) (?:cms |printf |\| ?|--?[\w-]+ )?(?:\S+|'[^']+')(?: \\| &)?$/;
      assert.deepEqual(
        long.filter((line) => !aWord.test(line)),
        [],
      );
      assert.match(whole, /^jane@example\.org\b/m);
      await assertNothingLeft(folder);
    });

  it('shows no token', async () => {
    const args = [...DEMO, '--no-exim'];
    const { status, stdout } = await run(process.execPath, args, { ...surroundings(), timeoutMs: TIMEOUT_MS });
    assert.equal(status, 0);
    assert.match(stdout, /\$ cms token jane@example\.org\n +│ \S{6}… /);
    // The embedded provider's tokens are 43 characters long; code challenge and state stand in the URL, which is cut.
    const words = stdout
      .split('\n')
      .filter((line) => !line.includes('http'))
      .flatMap((line) => line.split(/[\s=]/));
    assert.deepEqual(
      words.filter((word) => /^[\w-]{43}$/.test(word)),
      [],
    );
    await assertNothingLeft(folder);
  });

  it('cleans up when it is interrupted', async () => {
    const demo = start(process.execPath, DEMO, surroundings());
    await demo.waitFor(/Take a token/, { timeoutMs: TIMEOUT_MS });
    demo.kill('SIGINT');
    const { status } = await demo.exited;
    assert.equal(status, 130);
    await assertNothingLeft(folder);
  });

  it('names its options and refuses others', async () => {
    const { status, stderr } = await run(process.execPath, [...DEMO, '--nonsense'], surroundings());
    assert.equal(status, 64);
    assert.match(stderr, /--browser/);
  });
});

/** No file in the temporary folder, and no process that has it in its command line. */
async function assertNothingLeft(folder: string): Promise<void> {
  assert.deepEqual(await readdir(folder), []);
  const { stdout } = await run('ps', ['-eo', 'pid,args']);
  assert.deepEqual(
    stdout.split('\n').filter((line) => line.includes(folder)),
    [],
  );
}
