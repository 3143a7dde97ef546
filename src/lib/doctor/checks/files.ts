/** The first link: the folders, accounts.json and config.toml. */
import { lstat } from 'node:fs/promises';
import type { AccountsFile } from '../../accounts/store.ts';
import type { Context } from '../../context.ts';
import { CmsError, systemErrorCode, toCmsError } from '../../core/errors.ts';
import { quoted } from '../../core/shell-word.ts';
import { ioError, proveWritable } from '../../os/files/files.ts';
import { readProviders, readSettings, type Settings } from '../../config/settings.ts';
import { counted, failed, failure, type Judgement, keyOf, ok, skipped, warning } from '../check.ts';
import type { Step } from '../run-checks.ts';

/** What could be read; all further checks are made from it. */
export interface Opened {
  file: AccountsFile | CmsError;
  settings: Settings | CmsError;
}

export async function openFiles({ accounts, paths }: Context): Promise<Opened> {
  const error = (caught: unknown): CmsError => toCmsError(caught);
  const [file, settings] = await Promise.all([
    accounts.read().catch(error),
    // The presets are read at a sign-in only, but a slip in them is one of config.toml.
    Promise.all([readSettings(paths), readProviders(paths)]).then(([read]) => read, error),
  ]);
  return { file, settings };
}

/** What lstat says about a path; undefined where nothing is. */
export interface PathFacts {
  uid: number;
  /** Permission bits. */
  mode: number;
  folder: boolean;
}

async function pathFacts(path: string): Promise<PathFacts | undefined> {
  try {
    const stat = await lstat(path);
    return { uid: stat.uid, mode: stat.mode & 0o7777, folder: stat.isDirectory() };
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemErrorCode(error) ?? '')) return undefined;
    throw ioError('look at', path, error);
  }
}

/** cms refuses a folder in which another user could exchange files. Pure. */
export function judgeFolder(path: string, facts: PathFacts | undefined, uid: number | undefined): Judgement {
  if (facts === undefined) return skipped('it is not there yet');
  if (!facts.folder) return failure('config_invalid', 'it is no folder', { fix: [`ls -ld ${quoted(path)}`] });
  if (uid !== undefined && facts.uid !== uid) {
    const fix = [`sudo chown -R ${uid} ${quoted(path)}`];
    return failure('config_invalid', `it belongs to uid ${facts.uid}, not to you`, { fix });
  }
  if ((facts.mode & 0o700) !== 0o700) {
    const fix = [`chmod 700 ${quoted(path)}`];
    return failure('io_error', `closed to yourself (mode ${octal(facts.mode)})`, { fix });
  }
  if ((facts.mode & 0o022) === 0) return ok(`yours, mode ${octal(facts.mode)}`);
  return failure('config_invalid', `others can write to it (mode ${octal(facts.mode)})`, {
    cause: 'another user could replace the files in it, so cms does not use it',
    fix: [`chmod go-w ${quoted(path)}`],
  });
}

/** Names of accounts and clients are not secret, but still private. Pure. */
function judgeFile(path: string, facts: PathFacts | undefined, uid: number | undefined): Judgement {
  if (facts === undefined) return skipped('there is none');
  const fix = [`chmod 600 ${quoted(path)}`];
  if (uid !== undefined && facts.uid !== uid && facts.uid !== 0)
    return failure('config_invalid', `it belongs to uid ${facts.uid}`, { fix: [`sudo chown ${uid} ${quoted(path)}`] });
  if ((facts.mode & 0o022) !== 0)
    return failure('config_invalid', `others can change it (mode ${octal(facts.mode)})`, { fix });
  if ((facts.mode & 0o044) !== 0) return warning(`others can read it (mode ${octal(facts.mode)})`, { fix });
  return ok(`mode ${octal(facts.mode)}`);
}

export function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

export function fileSteps({ paths }: Context, opened: Opened, uid: number | undefined): Step[] {
  const folder = (path: string, ...needs: string[]): Step => ({
    id: 'files.folder',
    subject: path,
    needs,
    look: async () => {
      const judged = judgeFolder(path, await pathFacts(path), uid);
      // The disk may be full, or read-only.
      if (judged.status === 'ok') await proveWritable(path);
      return judged;
    },
  });
  const folders = [folder(paths.configDir), folder(paths.stateDir)] as const;
  // In a folder that is closed nothing can be looked at.
  const [config, state] = [keyOf(folders[0]), keyOf(folders[1])];
  return [
    ...folders,
    folder(paths.vaultDir, state),
    {
      id: 'files.accounts',
      subject: paths.accountsFile,
      // A sign-in that is half done is noted in the state folder.
      needs: [config, state],
      look: async () => {
        const judged = judgeFile(paths.accountsFile, await pathFacts(paths.accountsFile), uid);
        if (opened.file instanceof CmsError) return failed(opened.file);
        const { version, accounts } = opened.file;
        return judged.status === 'ok'
          ? ok(
              `${counted(Object.keys(accounts).length, 'account') || 'no account'}, version ${version}, ${judged.summary}`,
            )
          : judged;
      },
    },
    {
      id: 'files.config',
      subject: paths.configFile,
      needs: [config],
      look: async () => {
        if (opened.settings instanceof CmsError) return failed(opened.settings);
        return judgeFile(paths.configFile, await pathFacts(paths.configFile), uid);
      },
    },
  ];
}
