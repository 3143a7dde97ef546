/**
 * Which certificates exim has to be told of: those of the accounts' own authority, where their SMTP servers have them.
 * exim takes one file for all accounts, in place of the system's certificates, and reads it as a user of its own.
 */
import { type Account, caFileOf, type MailServer } from '../../accounts/account.ts';
import { certificatesInForce } from '../probe/check.ts';
import { findExim4 } from '../binary.ts';
import type { Run } from '../../os/process.ts';
import type { Installed } from '../install/installed.ts';
import { isPlainPath, SYSTEM_CERTIFICATES, SYSTEM_TRUST } from '../render/options.ts';
import { ableAccounts } from '../smart-hosts/smart-hosts.ts';
import { reach } from '../../mail/reach.ts';
import type { Environment } from '../../os/paths.ts';
import { readAuthorities } from '../../os/tls-authorities.ts';
import { isOpenToAll, requireReadable, teachingCommand } from './authority-file.ts';

const PATIENCE_MS = 4000;

export interface AuthorityRequest {
  accounts: readonly Account[];
  /** What was asked for: a path, or `system`. */
  asked?: string | undefined;
  /** What exim has now, in the same words; undefined where its configuration is not ours. */
  before?: string | undefined;
  /** The user for whom root reads the files. */
  owner?: number | undefined;
}

export interface EximAuthority {
  /** For `exim-config --ca-file`: a path, or `system`. */
  caFile: string;
  /** The accounts agree on it, but no flag names it: the lines of others may need something else. */
  ofAccounts: boolean;
  /** The accounts that exim will not send for. */
  failing: Distrusted[];
}

export interface Distrusted {
  address: string;
  host: string;
  /** One clause. */
  why: string;
  /** What makes the system trust the server; where exim has a file, it has to go back to the system's then. */
  command: string;
}

interface Sender {
  address: string;
  server: MailServer;
  caFile: string | undefined;
}

type Verdict = 'trusted' | 'distrusted' | 'unknown';
type Judge = (server: MailServer, caFile: string) => Promise<Verdict>;

/** What exim is configured with now: as exim says itself, else as it was noted. */
export async function authorityBefore(
  env: Environment,
  run: Run,
  installed: Installed | undefined,
): Promise<string | undefined> {
  return (await certificatesInForce(run, () => findExim4(env))) ?? installed?.options.caFile;
}

/**
 * What was asked for, else the file that exim has, else the one that all accounts that send have, where their servers
 * need it and exim can read it. Servers are asked for their certificate only where the accounts have files of their own.
 * @throws CmsError `config_invalid` for a file that is asked for and cannot be read
 */
export async function eximAuthority({ accounts, asked, before, owner }: AuthorityRequest): Promise<EximAuthority> {
  if (asked !== undefined && asked !== SYSTEM_TRUST) await requireReadable(asked, owner);
  const senders = ableAccounts(accounts).map(({ account, server }) => {
    return { address: account.address, server, caFile: caFileOf(account) };
  });
  const judge = remembering((server, caFile) => judgeServer(server, caFile, owner));
  const said = asked ?? (before === SYSTEM_TRUST ? undefined : before);
  const { common, obstacle } = said === undefined ? await commonFile(senders, judge) : {};
  const caFile = said ?? common ?? SYSTEM_TRUST;
  const closed = caFile !== SYSTEM_TRUST && !(await isOpenToAll(caFile));
  const doubtful = senders.filter((each) => closed || each.caFile !== (caFile === SYSTEM_TRUST ? undefined : caFile));
  const verdicts = await Promise.all(
    doubtful.map(async ({ server }) => (closed ? 'distrusted' : judge(server, caFile))),
  );
  const why = closed ? unreadable(caFile) : (obstacle ?? `it trusts ${nameOf(caFile)} alone`);
  const failing = doubtful.filter((_, index) => verdicts[index] === 'distrusted');
  return {
    caFile,
    ofAccounts: common !== undefined,
    failing: await Promise.all(
      failing.map(async ({ address, server, caFile: own }) => ({
        ...{ address, host: server.host, why },
        command: await teachingCommand([caFile, own]),
      })),
    ),
  };
}

function nameOf(caFile: string): string {
  return caFile === SYSTEM_TRUST ? "the system's certificates" : caFile;
}

/** The file of all, where there is one that does for all their servers, and is needed; else what stands in its way. */
async function commonFile(
  senders: readonly Sender[],
  judge: Judge,
): Promise<{ common?: string | undefined; obstacle?: string }> {
  const [first, ...more] = new Set(senders.map(({ caFile }) => caFile));
  if (more.length > 0) return { obstacle: 'it takes one file for all accounts, and they have not the same' };
  if (first === undefined) return {};
  const all = async (caFile: string): Promise<Verdict[]> =>
    Promise.all(senders.map(({ server }) => judge(server, caFile)));
  if ((await all(SYSTEM_TRUST)).every((verdict) => verdict === 'trusted')) return {};
  if (!isPlainPath(first)) return { obstacle: `its configuration cannot hold the name ${first}` };
  if (!(await isOpenToAll(first))) return { obstacle: unreadable(first) };
  if ((await all(first)).includes('distrusted'))
    return { obstacle: `it takes one file for all accounts, and ${first} does not do for all servers` };
  return { common: first };
}

function unreadable(caFile: string): string {
  return `its user cannot read ${caFile}`;
}

/** `unknown` if nothing answers, or the server speaks no TLS. */
async function judgeServer(server: MailServer, caFile: string, owner: number | undefined): Promise<Verdict> {
  const file = caFile === SYSTEM_TRUST ? SYSTEM_CERTIFICATES : caFile;
  const ca = await readAuthorities(file, owner).catch(() => undefined);
  if (ca === undefined) return 'distrusted';
  const options = { protocol: 'smtp' as const, server, ca, timeoutMs: PATIENCE_MS, done: () => undefined };
  const failed = await reach(options);
  if (failed === undefined) return 'trusted';
  return failed.failure.kind === 'certificate' ? 'distrusted' : 'unknown';
}

/** Many accounts have the same server. */
function remembering(judge: Judge): Judge {
  const known = new Map<string, Promise<Verdict>>();
  return (server, caFile) => {
    const key = JSON.stringify([server, caFile]);
    const verdict = known.get(key) ?? judge(server, caFile);
    known.set(key, verdict);
    return verdict;
  };
}
