/** Runs the scripts of this folder, each in a home of its own. `npm run snapshot` writes what came into them. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, symlink } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeHome, TOKEN_BYTES } from '../../bench/home.ts';
import { CMS_PROGRAM, temporaryHome } from '../support/environment.ts';
import { type Environment, run } from '../support/processes.ts';
import { linesOf, type Outcome, parseScript, renderScript, type Script, settled } from './script.ts';

const FOLDER = fileURLToPath(new URL('.', import.meta.url));
const ROOT = join(FOLDER, '..', '..');

describe('the command line, as scripts', function () {
  this.timeout(120_000);

  // cms gives root other advice; the scripts are those of an ordinary user.
  const names = process.getuid?.() === 0 ? [] : readdirSync(FOLDER).filter((file) => file.endsWith('.txt'));
  for (const name of names) {
    it(`is as in ${name}`, async () => {
      const file = join(FOLDER, name);
      const text = readFileSync(file, 'utf8');
      const wanted = parseScript(text);
      const came = await played(wanted, text.startsWith('# Signed in'));
      if (process.env.UPDATE_SNAPSHOTS) writeFileSync(file, renderScript(came));
      else assert.deepEqual(...differing(came, wanted));
    });
  }
});

describe('a script of the command line', () => {
  const step = { status: 65, stdout: 'a\n\nb', stderr: 'cms: error: x\n' };

  it('is written as it is read', () => {
    const text = ['# Why', '$ a \\', '  b', 'out', '! err', 'status 1', '', '# End', ''].join('\n');
    assert.equal(renderScript(parseScript(text)), text);
    assert.deepEqual(parseScript(text).steps[0]?.said, ['out', '! err', 'status 1']);
  });

  it('has a line for all that a command says, and for its status', () => {
    assert.deepEqual(linesOf(step), ['a', '|', 'b<no newline>', '! cms: error: x', 'status 65']);
    assert.deepEqual(linesOf({ status: 0, stdout: '$ x\n', stderr: '' }), ['|$ x']);
  });

  it('notices whatever is not as expected', () => {
    const came = linesOf(step);
    for (const good of [came, ['a', '...'], ['...', 'status 65'], ['a', '|', '<*>', '! cms: <*>: x', 'status 65']])
      assert.deepEqual(settled(good, came), good);
    for (const bad of [[], ['a'], ['...', 'status 64'], [...came, 'more'], ['a', '<*>', 'status 65']])
      assert.deepEqual(settled(bad, came), came);
  });
});

/** Only the commands that did not do as they should, by what they said and should have said. */
function differing(came: Script, wanted: Script): [Record<string, string[]>, Record<string, string[]>] {
  const other = came.steps.flatMap((step, index) => {
    const said = wanted.steps[index]?.said ?? [];
    return step.said.join('\n') === said.join('\n') ? [] : [[step.command, step.said, said] as const];
  });
  return [
    Object.fromEntries(other.map(([command, said]) => [command, said])),
    Object.fromEntries(other.map(([command, , said]) => [command, said])),
  ];
}

/** @param signedIn whether the home has an account with a fresh token */
async function played({ steps, below }: Script, signedIn: boolean): Promise<Script> {
  await using home = await temporaryHome();
  await using account = signedIn ? await makeHome({ accounts: 1 }) : undefined;
  const bin = join(home.path, 'bin');
  await mkdir(bin);
  await symlink(CMS_PROGRAM, join(bin, 'cms'));
  await symlink(join(dirname(CMS_PROGRAM), 'cms-token'), join(bin, 'cms-token'));
  const env: Environment = {
    ...home.env,
    ...account?.env,
    PATH: `${bin}:${dirname(process.execPath)}:${process.env.PATH ?? ''}`,
    FIXTURES: FOLDER,
    CMS_STORE: 'file',
    OCLIF_COLUMNS: '80',
  };
  const folders = [home.path, ...(account === undefined ? [] : [dirname(env.CMS_CONFIG_DIR ?? '')])];
  const done: Script = { steps: [], below };
  for (const step of steps) {
    const outcome = await run('timeout', ['20', 'sh', '-c', step.command], { env, cwd: home.home, timeoutMs: 30_000 });
    const came = linesOf(withPlaceholders(outcome, folders));
    done.steps.push({ ...step, said: [...settled(step.said, came)] });
  }
  return done;
}

const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };

/** What another computer, user or day would change. */
function withPlaceholders({ status, stdout, stderr }: Outcome, folders: readonly string[]): Outcome {
  const { username } = userInfo();
  const said = (text: string): string =>
    folders
      .reduce((words, folder) => words.replaceAll(folder, '<HOME>'), text)
      .replaceAll(ROOT, '<CMS>')
      .replaceAll(process.execPath, '<NODE>')
      .replaceAll(version, '<VERSION>')
      .replace(/linux-\w+ node-v[\d.]+/, '<PLATFORM>')
      .replace(new RegExp(`\\b[0-9a-f]{${TOKEN_BYTES}}\\b`, 'g'), '<TOKEN>')
      .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, '<TIME>')
      .replace(/"expires_at":\d{10}\b/g, '"expires_at":<SECONDS>')
      .replace(new RegExp(`(/run/cms/|(?:BEGIN|END) cms |those of |^cms: )${username}\\b`, 'gm'), '$1<USER>');
  return { status, stdout: said(stdout), stderr: said(stderr) };
}
