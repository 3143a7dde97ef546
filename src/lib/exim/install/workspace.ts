/** Reading and writing the two files outside of /etc: for `--write`, and for exim to judge them in a folder of its own. */
import { closeSync, constants, fchownSync } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CmsError, messageOf, systemErrorCode } from '../../core/errors.ts';
import { makeFolders } from '../../os/files/files.ts';
import { judgeFolder, judgeWay, openTrusted } from '../../os/files/trusted.ts';
import { renderConfig } from '../render/config.ts';
import type { Run } from '../../os/process.ts';
import { MTA_GROUP } from '../render/options.ts';
import type { EximPlan } from './plan.ts';
import { NEW_FILE, replaceBlock } from '../smart-hosts/smart-hosts-file.ts';

export type WriteFile = (path: string, data: Uint8Array, mode: number) => Promise<void>;

export interface WrittenFiles {
  configFile: string;
  smartHostsFile: string;
}

/**
 * The smart-hosts file byte for byte, that of a new one when there is none; `closed` when it may not be read. It may
 * belong to the MTA; but root reads it only where no other user can put a link to another file in its place.
 */
export async function readSmartHosts(path: string): Promise<{ text: string; closed: boolean }> {
  if (process.geteuid?.() === 0) judgeWay(path, { links: true });
  try {
    // A FIFO would keep us waiting for a writer.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!(await file.stat()).isFile()) throw new Error('it is not a regular file');
    return { text: await file.readFile('latin1'), closed: false };
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return { text: NEW_FILE, closed: false };
    if (code === 'EACCES') return { text: NEW_FILE, closed: true };
    throw new CmsError('io_error', `cannot read ${path}: ${code ?? messageOf(error)}`, { cause: error });
  }
}

/**
 * Writes exim4.conf and exim-smart-hosts into `folder`; of a smart-hosts file that stands there only our block changes.
 * @throws CmsError `io_error`, `config_invalid`
 */
export async function writeFiles(plan: EximPlan, folder: string, write: WriteFile): Promise<WrittenFiles> {
  const files = { configFile: join(folder, 'exim4.conf'), smartHostsFile: join(folder, 'exim-smart-hosts') };
  judgeFolder(folder);
  await makeFolders(folder, 0o755);
  const before = await readSmartHosts(files.smartHostsFile);
  if (before.closed) throw new CmsError('io_error', `cannot read ${files.smartHostsFile}: EACCES`);
  const lines = replaceBlock(before.text, plan.user, plan.block);
  await write(files.smartHostsFile, Buffer.from(lines, 'latin1'), 0o640);
  await write(files.configFile, Buffer.from(plan.config), 0o644);
  return files;
}

/** Gives `file` to the MTA's group. False where the caller may not, or where there is no such group. */
export async function giveToMta(file: string, run: Run): Promise<boolean> {
  const { stdout } = await run(['getent', 'group', MTA_GROUP]);
  const gid = Number(stdout.split(':')[2]);
  if (!Number.isInteger(gid) || gid <= 0) return false;
  const fd = openTrusted(file, constants.O_RDONLY, { own: true });
  if (fd === undefined) return false;
  try {
    fchownSync(fd, -1, gid);
    return true;
  } catch (error) {
    if (systemErrorCode(error) === 'EPERM') return false;
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** Runs `use` on the two files in a temporary folder, where the configuration reads the smart-hosts file next to it. */
export async function inWorkspace<T>(
  plan: EximPlan,
  smartHosts: string,
  write: WriteFile,
  use: (files: WrittenFiles) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'cms-exim-check-'));
  try {
    const files = { configFile: join(folder, 'exim4.conf'), smartHostsFile: join(folder, 'exim-smart-hosts') };
    const config = renderConfig({ ...plan.options, smartHostsFile: files.smartHostsFile });
    await write(files.smartHostsFile, Buffer.from(smartHosts, 'latin1'), 0o600);
    await write(files.configFile, Buffer.from(config), 0o600);
    return await use(files);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
