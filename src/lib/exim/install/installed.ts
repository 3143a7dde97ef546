/**
 * What was installed last, kept in the user's own configuration folder: the smart-hosts file itself is closed to
 * ordinary users. From it the next run takes the options that are not given again, and `account add` and `remove` see
 * whether exim's file is behind.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Account } from '../../accounts/account.ts';
import { messageOf } from '../../core/errors.ts';
import type { Paths } from '../../os/paths.ts';
import { readFileIfAny } from '../../os/files/files.ts';
import type { EximOptions } from '../render/options.ts';
import { smartHostsOf } from '../smart-hosts/smart-hosts.ts';
import { renderBlock } from '../smart-hosts/smart-hosts-file.ts';

export const INSTALLED_VERSION = 1;

/** Names as they stand in `exim.json`. */
export interface Installed {
  version: typeof INSTALLED_VERSION;
  user: string;
  socket: string;
  default_address?: string;
  options: EximOptions;
  /** SHA-256 of the user's block in the smart-hosts file, in hex. */
  block_sha256: string;
}

export type SmartHostsState = 'not_installed' | 'current' | 'stale';

export function installedFile(paths: Pick<Paths, 'configDir'>): string {
  return join(paths.configDir, 'exim.json');
}

/**
 * What the last `cms exim-config --install` noted, or undefined when there was none or its note cannot be read.
 * @param owner the user for whom root reads it
 * @throws CmsError `config_invalid` for a note that others can change, `io_error`
 */
export async function readInstalled(paths: Pick<Paths, 'configDir'>, owner?: number): Promise<Installed | undefined> {
  const bytes = await readFileIfAny(installedFile(paths), { owner });
  return bytes === undefined ? undefined : parseInstalled(bytes.toString('utf8'));
}

export function parseInstalled(text: string): Installed | undefined {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isInstalled(data) ? data : undefined;
}

function isInstalled(data: unknown): data is Installed {
  if (typeof data !== 'object' || data === null || !('version' in data) || data.version !== INSTALLED_VERSION)
    return false;
  const record = data as Partial<Record<keyof Installed, unknown>>;
  const options = record.options as Partial<Record<keyof EximOptions, unknown>> | null | undefined;
  return (
    [record.user, record.socket, record.block_sha256, options?.smartHostsFile].every(
      (one) => typeof one === 'string',
    ) && Array.isArray(options?.localDomains)
  );
}

export function blockDigest(block: string): string {
  return createHash('sha256').update(block).digest('hex');
}

/**
 * Whether exim's smart-hosts file, as installed, still says what the accounts say. `stale` is fixed by
 * `cms exim-config --install`.
 */
export function smartHostsState(installed: Installed | undefined, accounts: readonly Account[]): SmartHostsState {
  if (installed === undefined) return 'not_installed';
  return blockDigest(blockNow(installed, accounts)) === installed.block_sha256 ? 'current' : 'stale';
}

/**
 * What to tell a person whose accounts have just changed; undefined where exim was not installed or is up to date.
 * @throws CmsError `io_error`
 */
export async function staleRemark(paths: Paths, accounts: readonly Account[]): Promise<string | undefined> {
  if (smartHostsState(await readInstalled(paths), accounts) !== 'stale') return undefined;
  return 'exim does not know of this yet: cms exim-config --install';
}

/** The block that an installation would write now. One that cannot be written is none that is installed. */
function blockNow(installed: Installed, accounts: readonly Account[]): string {
  const { socket, user, default_address: defaultAddress } = installed;
  try {
    const { lines } = smartHostsOf(accounts, { socket, ...(defaultAddress !== undefined && { defaultAddress }) });
    return renderBlock(user, lines);
  } catch (error) {
    return messageOf(error);
  }
}
