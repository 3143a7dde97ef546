/** The report for others: Markdown, complete, and safe to publish. */
import { basename, join } from 'node:path';
import type { Account } from '../../accounts/account.ts';
import { domainOf } from '../../accounts/address.ts';
import type { Context } from '../../context.ts';
import type { Run } from '../../os/process.ts';
import { findProvider } from '../../providers/table.ts';
import type { Check } from '../check.ts';
import { summaryOf } from '../check.ts';
import { createMask, type Mask, type MaskFacts } from './mask.ts';
import { surroundings, type Surroundings } from './surroundings.ts';

export interface ReportOptions {
  context: Context;
  run: Run;
  version: string;
  user: string;
  hostName: string;
}

/** The checks and their surroundings, masked. */
export async function reportOf(checks: readonly Check[], options: ReportOptions): Promise<string> {
  const { context, run, version } = options;
  const accounts = await context.accounts.list().catch(() => []);
  const mask = createMask(maskFacts(options, accounts, checks));
  return renderReport(checks, accounts, await surroundings(context, run, version), mask);
}

function maskFacts(
  { context, user, hostName }: ReportOptions,
  accounts: readonly Account[],
  checks: readonly Check[],
): MaskFacts {
  const { env, paths } = context;
  const home = env.HOME ?? '';
  const logins = accounts.flatMap(({ address, login, smtp_user, imap_user, aliases }) => [
    ...[address, login, smtp_user, imap_user],
    ...aliases,
  ]);
  const clients = accounts.flatMap((account) => (account.kind === 'oauth' ? [account.client] : []));
  const urls = clients
    .flatMap((client) => [client.token_endpoint, client.issuer ?? ''])
    .filter((url) => URL.canParse(url));
  const servers = accounts.flatMap((account) => Object.values(account.servers).map(({ host }) => host));
  const names = [user, basename(home), ...[env.USER, env.LOGNAME, env.SUDO_USER].map((name) => name ?? '')];
  return {
    users: [...new Set(names)],
    locals: [...new Set(logins.map((each) => each.split('@')[0] ?? ''))],
    hostNames: [hostName, hostName.split('.')[0] ?? ''],
    hosts: [...new Set([...servers, ...logins.map(domainOf), ...urls.map((url) => new URL(url).hostname)])],
    clients: [...new Set(clients.map(({ client_id }) => client_id))].filter((id) => id !== ''),
    folders: (
      [
        [paths.configDir, '$CONFIG'],
        [paths.stateDir, '$STATE'],
        // Where nothing says where sockets are, the folder has the name of the host.
        [join(paths.stateDir, `run-${hostName}`), '$STATE/run-this-host'],
        [env.CMS_RUNTIME_DIR ?? '', '$RUNTIME'],
        [env.XDG_RUNTIME_DIR ?? '', '$XDG_RUNTIME_DIR'],
        [home, '~'],
      ] as const
    ).filter(([path]) => path.length > 1),
    words: checks.map(({ id }) => id),
  };
}

/** Pure but for the names that the mask has given. */
function renderReport(
  checks: readonly Check[],
  accounts: readonly Account[],
  { versions, variables, config, audit }: Surroundings,
  mask: Mask,
): string {
  const cell = (text: string): string => mask(text).replace(/\s+/g, ' ').replaceAll('|', '\\|');
  const row = (...cells: string[]): string => `| ${cells.map(cell).join(' | ')} |`;
  const table = (head: readonly string[], rows: readonly string[]): string[] =>
    rows.length === 0 ? ['None.'] : [`| ${head.join(' | ')} |`, `|${' --- |'.repeat(head.length)}`, ...rows];
  const set = variables.filter(([, isSet]) => isSet).map(([name]) => name);
  const unset = variables.filter(([, isSet]) => !isSet).map(([name]) => name);
  return [
    '# cms doctor',
    mask(summaryOf(checks)),
    'Addresses, hosts, users, folders, clients and tenants have other names here, the same one for the same thing.',
    '## Versions',
    table(
      ['', ''],
      versions.map(([what, said]) => row(what, said)),
    ).join('\n'),
    '## Checks',
    table(
      ['check', 'status', 'what', 'why', 'to do', 'ms'],
      checks.map(({ id, subject, status, summary, cause = '', fix = [], who, ms }) =>
        row(
          `${id} ${subject}`.trim(),
          status,
          summary,
          cause,
          [...fix, ...(who ? [`(${who})`] : [])].join('; '),
          String(ms),
        ),
      ),
    ).join('\n'),
    '## Accounts',
    table(
      ['address', 'kind', 'provider', 'protocols', 'client', 'scope'],
      accounts.map((account) => row(...accountCells(account))),
    ).join('\n'),
    '## Environment',
    `Set: ${set.join(', ') || 'none'}.\n\nUnset: ${unset.join(', ') || 'none'}.`,
    '## config.toml',
    config.length === 0 ? 'None.' : ['```toml', ...config.map(mask), '```'].join('\n'),
    '## Audit trail, the last 50 lines',
    table(
      ['result', 'lines'],
      audit.map(([what, count]) => row(what, String(count))),
    ).join('\n'),
    '',
  ].join('\n\n');
}

/** What an organisation has named is its own business. */
function accountCells(account: Account): string[] {
  const { address, kind, protocols } = account;
  const preset = findProvider(account.provider);
  const common = [address, kind, preset === undefined ? 'a preset of config.toml' : preset.id, protocols.join(', ')];
  if (account.kind === 'password') return [...common, '', ''];
  const { client_id, token_endpoint_auth_method, scope } = account.client;
  const isPublic = preset !== undefined && preset.id !== 'custom';
  const asked = isPublic ? scope : `${scope.split(' ').length} scopes of its own`;
  return [...common, `${client_id} (${token_endpoint_auth_method})`, asked];
}
