/** The folder that holds all files of the demo, and the environment that keeps its programs in there. */
import { statSync } from 'node:fs';
import { mkdtemp, mkdir, rm, writeFile, chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Environment } from '../test/support/processes.ts';
import { BROWSER_PERSON } from '../test/support/person.ts';
import type { Cleanup } from './cleanup.ts';
import { quoted } from '../src/lib/core/shell-word.ts';

export interface Workspace {
  folder: string;
  /** The private socket of the broker. */
  socket: string;
  /** For the MTA: exim's files and the socket that it asks. */
  eximFolder: string;
  /** For the compiled program, where the checkout holds none. */
  programFolder: string;
}

/** Root's own temporary folder may be closed to the MTA, which is another user. */
export function chooseTemporaryFolder(): void {
  if (process.getuid?.() === 0 && !isPassable(tmpdir())) process.env.TMPDIR = '/tmp';
}

function isPassable(folder: string): boolean {
  const passable = (statSync(folder).mode & 0o001) !== 0;
  return passable && (folder === '/' || isPassable(dirname(folder)));
}

export async function makeWorkspace(cleanup: Cleanup): Promise<Workspace> {
  // Short: its paths appear in command lines, which are not broken within a word.
  const folder = await mkdtemp(join(tmpdir(), 'cms-'));
  await cleanup.add(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  // The MTA, which is another user, has to pass through it; secrets are in folders of their own with 0700.
  await chmod(folder, 0o711);
  await mkdir(join(folder, 'home'), { mode: 0o700 });
  return {
    folder,
    socket: join(folder, 'run', 'cms.sock'),
    eximFolder: join(folder, 'exim'),
    programFolder: join(folder, 'cms'),
  };
}

/** Nothing from the caller's environment: not the home, not the session bus with the keyring, not the display. */
export async function scriptedEnvironment({ folder }: Workspace, caFile: string, login: string): Promise<Environment> {
  const browser = join(folder, 'browser');
  // $BROWSER is split at spaces and colons, which paths of this checkout may hold.
  const script = `#!/bin/sh\nexec ${quoted(process.execPath)} ${quoted(BROWSER_PERSON)} "$1"\n`;
  await writeFile(browser, script, { mode: 0o700 });
  const ownHome = { PATH: process.env.PATH, LANG: 'C.UTF-8', HOME: join(folder, 'home') };
  return { ...ownHome, ...cmsVariables(folder, caFile), BROWSER: browser, CMS_TEST_LOGIN: login };
}

/** For a sign-in in the person's own browser, which needs the person's own surroundings. */
export function personsEnvironment({ folder }: Workspace, caFile: string): Environment {
  return { ...process.env, ...cmsVariables(folder, caFile) };
}

function cmsVariables(folder: string, caFile: string): Environment {
  return {
    CMS_CONFIG_DIR: join(folder, 'config'),
    CMS_STATE_DIR: join(folder, 'state'),
    CMS_RUNTIME_DIR: join(folder, 'run'),
    CMS_SOCKET: join(folder, 'run', 'cms.sock'),
    // The keyring is the person's own; the demo keeps the key of its vault in a file.
    CMS_STORE: 'file',
    CMS_VAULT_KEY_FILE: undefined,
    CREDENTIALS_DIRECTORY: undefined,
    NODE_EXTRA_CA_CERTS: caFile,
    // The compiler would leave one behind.
    NODE_DISABLE_COMPILE_CACHE: '1',
  };
}
