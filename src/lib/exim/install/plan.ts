/** From what was asked, what was installed before and the accounts there are to the two texts that make exim send. */
import { normalize } from 'node:path';
import type { Account } from '../../accounts/account.ts';
import { domainOf } from '../../accounts/address.ts';
import { CmsError, messageOf } from '../../core/errors.ts';
import { renderConfig } from '../render/config.ts';
import type { Installed } from './installed.ts';
import { blockDigest, INSTALLED_VERSION } from './installed.ts';
import {
  DEFAULT_OPTIONS,
  type EximOptions,
  formatListener,
  parseListener,
  socketPath,
  SYSTEM_TRUST,
  userName,
  validateOptions,
} from '../render/options.ts';
import { type SmartHost, smartHostsOf } from '../smart-hosts/smart-hosts.ts';
import { renderBlock } from '../smart-hosts/smart-hosts-file.ts';

/** What may be asked for; whatever is absent stays as it was installed, or is the default. */
export interface EximRequest {
  smartHostsFile?: string | undefined;
  socket?: string | undefined;
  defaultAddress?: string | undefined;
  localDomains?: readonly string[] | undefined;
  helo?: string | undefined;
  listen?: string | undefined;
  /** A path, or `system`. */
  caFile?: string | undefined;
}

export interface EximPlan {
  user: string;
  socket: string;
  defaultAddress?: string;
  options: EximOptions;
  lines: SmartHost[];
  /** Text of exim4.conf, and of our block in the smart-hosts file. */
  config: string;
  block: string;
  /** For people, on stderr. */
  remarks: string[];
  /** Flags that come from the user's own note of the last installation, not from who asks now. */
  takenOver: string[];
}

export interface Surroundings {
  user: string;
  /** Name of this machine, as exim will take it for its own. */
  hostName: string;
  accounts: readonly Account[];
  installed: Installed | undefined;
}

/**
 * Decides everything that is written.
 * @throws CmsError `usage`, `config_invalid`, `data_invalid` for what cannot be written safely; `account_unknown` for
 *   the default account
 */
export function planExim(request: EximRequest, { user, hostName, accounts, installed }: Surroundings): EximPlan {
  const socket = ownSocket(request.socket ?? installed?.socket ?? defaultSocket(user), user);
  const { defaultAddress, remark } = defaultFor(request, installed, accounts);
  const named = { socket, ...(defaultAddress !== undefined && { defaultAddress }) };
  const { lines, remarks } = smartHostsOf(accounts, named);
  if (remark !== undefined) remarks.push(remark);
  const { options, remarks: onNames } = optionsFor(request, installed?.options, domainsOf(lines), hostName);
  if (lines.length > 0 && defaultAddress === undefined) remarks.push(NO_DEFAULT);
  return {
    user: userName(user),
    ...named,
    options,
    lines,
    config: renderConfig(options),
    block: renderBlock(user, lines),
    remarks: [...remarks, ...onNames],
    takenOver: takenOver(request, installed, user),
  };
}

/** What the user's own note decides about the host: root runs what comes of it, and should see it. */
function takenOver(request: EximRequest, installed: Installed | undefined, user: string): string[] {
  if (installed === undefined) return [];
  const { socket, options: before } = installed;
  const { smartHostsFile, listen, caFile, localDomains } = before;
  const lines: [boolean, string][] = [
    [
      request.listen === undefined && listen !== undefined,
      `--listen ${listen === undefined ? '' : formatListener(listen)}`,
    ],
    [request.socket === undefined && socket !== defaultSocket(user), `--socket ${socket}`],
    [
      request.smartHostsFile === undefined && smartHostsFile !== DEFAULT_OPTIONS.smartHostsFile,
      `--smart-hosts-file ${smartHostsFile}`,
    ],
    [request.caFile === undefined && caFile !== undefined, `--ca-file ${caFile ?? ''}`],
    [
      request.localDomains === undefined && localDomains.length > 0,
      localDomains.map((domain) => `--local-domain ${domain}`).join(' '),
    ],
  ];
  return lines.flatMap(([taken, flag]) => (taken ? [flag] : []));
}

const NO_DEFAULT =
  'no --default ADDRESS: mail of root, of cron and of unknown senders, and bounces, will wait in the queue';

/** For what makes no sense without a line: exim would only collect mail. */
export function noSender({ user }: Pick<EximPlan, 'user'>): CmsError {
  return new CmsError('account_unknown', `${user} has no account that can send`, {
    suggestions: [...(user === 'root' ? ['run it as the user who has the accounts'] : []), 'cms account add ADDRESS'],
  });
}

/** The default account that is asked for, else the one that was installed while it is still there. */
function defaultFor(
  { defaultAddress }: EximRequest,
  installed: Installed | undefined,
  accounts: readonly Account[],
): { defaultAddress?: string; remark?: string } {
  if (defaultAddress !== undefined) return { defaultAddress };
  const before = installed?.default_address;
  if (before === undefined) return {};
  try {
    smartHostsOf(accounts, { socket: defaultSocket('any'), defaultAddress: before });
    return { defaultAddress: before };
  } catch (error) {
    return { remark: `${before} was the default and cannot be any more: ${messageOf(error)}` };
  }
}

/**
 * A socket that a block of `user` may name: exim asks there with everybody's mail.
 * @throws CmsError `config_invalid` for one in the folder of another user
 */
function ownSocket(path: string, user: string): string {
  const socket = normalize(socketPath(path));
  const owner = /^\/(?:var\/)?run\/cms\/([^/]+)(?:\/|$)/.exec(socket)?.[1];
  // root tries the lines of users.
  if (owner === undefined || owner === user || user === 'root') return socket;
  throw new CmsError(
    'config_invalid',
    `the socket ${path} does not belong to ${user}: it is in the folder of ${owner}`,
    {
      suggestions: [`cms exim-config --install --socket ${defaultSocket(user)}`],
    },
  );
}

function defaultSocket(user: string): string {
  return `/run/cms/${userName(user)}/exim.sock`;
}

/** What an installation of `plan` notes for the next one. */
export function noteOf({ user, socket, defaultAddress, options, block }: EximPlan): Installed {
  return {
    version: INSTALLED_VERSION,
    user,
    socket,
    ...(defaultAddress !== undefined && { default_address: defaultAddress }),
    options,
    block_sha256: blockDigest(block),
  };
}

function optionsFor(
  request: EximRequest,
  before: EximOptions = DEFAULT_OPTIONS,
  accountDomains: ReadonlySet<string>,
  hostName: string,
): { options: EximOptions; remarks: string[] } {
  const listen = request.listen === undefined ? before.listen : parseListener(request.listen);
  const helo = request.helo ?? before.helo;
  const asked = request.caFile ?? before.caFile;
  const caFile = asked === SYSTEM_TRUST ? undefined : asked;
  // A host that is called like the mail domain would take the whole domain's mail for its own.
  const ownNameIsLocal = !accountDomains.has(hostName.toLowerCase());
  const options = validateOptions({
    smartHostsFile: request.smartHostsFile ?? before.smartHostsFile,
    localDomains: request.localDomains ?? before.localDomains,
    ownNameIsLocal,
    ...(helo !== undefined && { helo }),
    ...(listen !== undefined && { listen }),
    ...(caFile !== undefined && { caFile }),
  });
  const taken = options.localDomains.filter((domain) => accountDomains.has(domain));
  return { options, remarks: [...taken.map(remarkOnDomain), ...(ownNameIsLocal ? [] : [remarkOnName(hostName)])] };
}

function remarkOnDomain(domain: string): string {
  return `--local-domain ${domain} is the domain of an account: mail to everybody there will go to the default account`;
}

function remarkOnName(hostName: string): string {
  return `this host is called ${hostName}, like the domain of an account: its name does not count as local`;
}

function domainsOf(lines: readonly SmartHost[]): Set<string> {
  return new Set(lines.filter(({ key }) => key !== '*').map(({ key }) => domainOf(key)));
}
