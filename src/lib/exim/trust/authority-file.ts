/** A file of certificates for exim, which reads it as a user of its own. */
import { access, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { CmsError, systemErrorCode } from '../../core/errors.ts';
import { plainPath, SYSTEM_TRUST } from '../render/options.ts';
import { quote } from '../../os/shell.ts';
import { readAuthorities } from '../../os/tls-authorities.ts';
import { quoted } from '../../core/shell-word.ts';

/**
 * @param owner the user for whom root reads it
 * @throws CmsError `config_invalid` for a file that holds no certificate, or that exim's user cannot read
 */
export async function requireReadable(caFile: string, owner?: number): Promise<void> {
  plainPath(caFile, 'the file of certificates');
  await readAuthorities(caFile, owner).catch((error: unknown) => {
    if (!(error instanceof CmsError)) throw error;
    throw error.inOtherWords(error.message, [`openssl x509 -noout -subject -in ${caFile}`]);
  });
  if (await isOpenToAll(caFile)) return;
  const place = `/etc/ssl/${basename(caFile)}`;
  throw new CmsError(
    'config_invalid',
    `exim's user cannot read ${caFile}: it, or a folder above, is closed to others`,
    {
      suggestions: [
        `sudo install -m 0644 ${quoted(caFile)} ${quoted(place)}   # then: cms exim-config --install --ca-file ${quoted(place)}`,
      ],
    },
  );
}

/** Whether others may read the file, and enter every folder above it. */
export async function isOpenToAll(path: string): Promise<boolean> {
  const allows = async (each: string, bit: number): Promise<boolean> =>
    stat(each).then(
      ({ mode }) => (mode & bit) !== 0,
      () => false,
    );
  if (!(await allows(path, 0o004))) return false;
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (!(await allows(folder, 0o001))) return false;
    if (folder === '/') return true;
  }
}

/** What has the system trust these files, for root; `system` and what is gone are left out. */
export async function teachingCommand(files: readonly (string | undefined)[]): Promise<string> {
  const there = await Promise.all([...new Set(files)].map(async (file) => ((await isThere(file)) ? file : undefined)));
  const installs = there.flatMap((file) => {
    if (file === undefined) return [];
    const name = `${basename(file).replace(/\.\w+$/, '')}.crt`;
    return [`sudo install -m 0644 ${quote(file)} /usr/local/share/ca-certificates/${quote(name)}`];
  });
  return [...installs, 'sudo update-ca-certificates'].join(' && ');
}

async function isThere(file: string | undefined): Promise<boolean> {
  if (file === undefined || file === SYSTEM_TRUST) return false;
  return access(file).then(
    () => true,
    (error: unknown) => systemErrorCode(error) !== 'ENOENT',
  );
}
