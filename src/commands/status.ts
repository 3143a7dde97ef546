import { Flags } from '@oclif/core';
import { readGrantView } from '../lib/accounts/view.ts';
import { type AuditLine, readAudit } from '../lib/broker/audit.ts';
import { ask, parseAnswer } from '../lib/broker/client.ts';
import type { AccountStatus, BrokerStatus, SocketStatus } from '../lib/broker/status.ts';
import { type Context, openContext } from '../lib/context.ts';
import { EXIT_STATUS } from '../lib/errors.ts';
import { table } from '../lib/table.ts';
import { BaseCommand } from './base.ts';

type StatusView = Omit<BrokerStatus, 'broker'> & { broker: BrokerStatus['broker'] | null };

export default class Status extends BaseCommand {
  static override readonly summary = 'show the broker, its sockets and its accounts';
  static override readonly description =
    'Without a broker it shows what the vault says. The exit status says the worst of it: 77 an account needs you, 78 a client is wrong, 69 the keyring is locked or no broker runs, 74 a grant cannot be stored, 75 a provider does not answer.';
  static override readonly examples = [
    '<%= config.bin %> status',
    '<%= config.bin %> status --json',
    '<%= config.bin %> status --log',
  ];
  static override readonly flags = {
    log: Flags.boolean({ description: 'who got which token, and who was refused' }),
    lines: Flags.integer({ min: 1, dependsOn: ['log'], description: 'how many lines of that (default 20)' }),
    json: BaseCommand.jsonFlag,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Status);
    const context = openContext(process.env);
    if (flags.log) {
      const lines = await readAudit(context.paths.auditFile, flags.lines ?? 20);
      if (flags.json) this.printJson(lines);
      else process.stdout.write(renderAudit(lines));
      return;
    }
    const view = (await fromBroker(context)) ?? (await fromVault(context));
    if (flags.json) this.printJson(view);
    else process.stdout.write(render(view, context.paths.privateSocket));
    process.exitCode = exitStatus(view);
  }
}

async function fromBroker({ paths }: Context): Promise<StatusView | undefined> {
  const answer = await ask(paths.privateSocket, { kind: 'status' });
  return answer === undefined ? undefined : (parseAnswer(answer, paths.privateSocket) as unknown as BrokerStatus);
}

async function fromVault({ accounts, vault }: Context): Promise<StatusView> {
  const all = await accounts.list();
  const states = all.map(async (account): Promise<AccountStatus> => {
    const { address, kind } = account;
    return { address, kind, ...(await readGrantView(vault, address)) };
  });
  return { version: 1, broker: null, sockets: [], accounts: await Promise.all(states) };
}

function renderAudit(lines: readonly AuditLine[]): string {
  if (lines.length === 0) return 'nothing has been asked for yet\n';
  return table(
    ['WHEN', 'WHO', 'PROGRAM', 'ACCOUNT', 'FOR', 'RESULT'],
    lines.map(({ time, user, uid, pid, command, account, protocol, form, result, reason }) => [
      time.slice(0, 19).replace('T', ' '),
      user ?? (uid === undefined ? '?' : String(uid)),
      `${command ?? '?'}${pid === undefined ? '' : ` (${pid})`}`,
      account ?? '-',
      [protocol, form === 'xoauth2' ? undefined : form].filter(Boolean).join(',') || '-',
      result === 'served' ? result : `${result}: ${reason ?? ''}`,
    ]),
  );
}

/** The worst first: what only a person can mend, then the store, then what may pass by itself. */
const GRAVITY = [77, 78, 69, 74, 75];

function exitStatus({ broker, accounts }: StatusView): number {
  const statuses = accounts.flatMap(({ code }) => (code === undefined ? [] : [EXIT_STATUS[code]]));
  const worst = GRAVITY.find((status) => statuses.some((each) => each === status)) ?? statuses[0];
  return worst ?? (broker === null ? EXIT_STATUS.broker_unavailable : 0);
}

function render({ broker, sockets, accounts }: StatusView, privateSocket: string): string {
  const now = Date.now();
  const head =
    broker === null
      ? `broker: not running (${privateSocket}); start it with: cms serve\n`
      : `broker: pid ${broker.pid}, cms ${broker.cms}, up ${ago(broker.started_at, now)}, ${broker.requests} requests, ${broker.failures} not served\n`;
  const socketTable =
    sockets.length === 0 ? '' : `\n${table(['SOCKET', 'MODE', 'GROUP', 'HANDS OUT', 'TO'], sockets.map(socketRow))}`;
  const accountTable =
    accounts.length === 0
      ? '\nno accounts yet; begin with: cms account add jane@example.org\n'
      : `\n${table(
          ['ACCOUNT', 'STATE', 'TOKEN', 'REFRESHED'],
          accounts.map((each) => accountRow(each, now)),
        )}`;
  const remarks = accounts.flatMap((account) => remark(account, now));
  return head + socketTable + accountTable + (remarks.length === 0 ? '' : `\n${remarks.join('')}`);
}

/** What is wrong, since when, in whose words, and what to do about it. */
function remark({ address, state, reason, explanation, since, remedy }: AccountStatus, now: number): string[] {
  if (state === 'ok' || state === 'unknown') return [];
  const when = since === undefined ? '' : ` for ${ago(since, now)}`;
  const what = explanation ?? reason ?? 'no reason known';
  const lines = [`${address}: ${state.replaceAll('_', ' ').toUpperCase()}${when}: ${what}`];
  if (explanation !== undefined && reason !== undefined) lines.push(`  the provider said: ${reason}`);
  if (remedy !== undefined) lines.push(`  ${remedy}`);
  return [`${lines.join('\n')}\n`];
}

function socketRow(socket: SocketStatus): string[] {
  const { path, mode, group, protocols, accounts, users, error } = socket;
  if (error !== undefined) return [path, '-', '-', 'NOT THERE', error];
  const what = [
    protocols?.join(',') ?? 'all protocols',
    accounts?.join(','),
    socket.passwords ? 'passwords' : undefined,
  ];
  return [
    path,
    mode,
    group ?? '-',
    what.filter(Boolean).join(' '),
    socket.private ? 'you' : (users?.join(',') ?? 'by mode'),
  ];
}

function accountRow(
  { address, kind, state, access_token_expires_at: expires, last_refresh_at: refreshed }: AccountStatus,
  now: number,
): string[] {
  const left = expires === undefined ? undefined : Date.parse(expires) - now;
  const token =
    kind === 'password' ? 'app password' : left === undefined ? '-' : left > 0 ? `${duration(left)} left` : 'expired';
  return [
    address,
    state.replaceAll('_', ' ').toUpperCase(),
    token,
    refreshed === undefined ? '-' : `${ago(refreshed, now)} ago`,
  ];
}

function ago(iso: string, now: number): string {
  return duration(Math.max(0, now - Date.parse(iso)));
}

/** The two largest units that say something: `59 min`, `2 h 5 min`, `3 d 4 h`. */
function duration(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
