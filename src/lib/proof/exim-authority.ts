/** Which certificates exim has to be told of: those of an account's own authority, where its SMTP server has them. */
import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { type Account, caFileOf, type MailServer } from '../accounts/account.ts';
import type { Installed } from '../exim/installed.ts';
import { isPlainPath, SYSTEM_CERTIFICATES } from '../exim/options.ts';
import { quote } from '../exim/shell.ts';
import { reach } from '../mail/reach.ts';
import { readAuthorities } from '../trust.ts';

/** Each server has answered a login a moment ago. */
const PATIENCE_MS = 4000;

export interface EximAuthority {
  /** For `exim-config --ca-file`. */
  caFile?: string;
  /** Where exim cannot be told: what makes it trust the server all the same. */
  otherwise?: { remark: string; command: string };
}

/**
 * exim takes one file for all accounts, in place of the system's certificates, and reads it as a user of its own: the
 * account's file is handed on only where all of that holds.
 * @throws CmsError `config_invalid` for a file that cannot be read
 */
export async function eximAuthority(
  account: Account,
  accounts: readonly Account[],
  installed: Installed | undefined,
): Promise<EximAuthority> {
  const caFile = caFileOf(account);
  const server = account.servers.smtp;
  if (caFile === undefined || server === undefined || installed?.options.caFile === caFile) return {};
  if (installed?.options.caFile === undefined && (await trusts(server, SYSTEM_CERTIFICATES))) return {};
  if (!(await trusts(server, caFile))) return {};
  const others = accounts.filter(({ address, servers }) => address !== account.address && servers.smtp !== undefined);
  const shared = installed?.options.caFile === undefined && others.every((other) => caFileOf(other) === caFile);
  if (shared && isPlainPath(caFile) && (await isOpenToAll(caFile))) return { caFile };
  const name = basename(caFile).replace(/\.\w+$/, '');
  return {
    otherwise: {
      remark: `exim will not trust the certificate of ${server.host} before the system does:`,
      command: `sudo install -m 0644 ${quote(caFile)} /usr/local/share/ca-certificates/${quote(`${name}.crt`)} && sudo update-ca-certificates`,
    },
  };
}

async function trusts(server: MailServer, file: string): Promise<boolean> {
  const ca = await readAuthorities(file).catch(() => undefined);
  if (ca === undefined) return false;
  const options = { protocol: 'smtp' as const, server, ca, timeoutMs: PATIENCE_MS, done: () => undefined };
  return (await reach(options)) === undefined;
}

/** Whether others may read the file, and enter every folder above it. */
async function isOpenToAll(path: string): Promise<boolean> {
  if (((await stat(path)).mode & 0o004) === 0) return false;
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (((await stat(folder)).mode & 0o001) === 0) return false;
    if (folder === '/') return true;
  }
}
