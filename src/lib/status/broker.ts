/** The broker and its sockets. Pure. */
import type { SocketStatus } from '../broker/server/status.ts';
import { table, tableWidth } from '../terminal/table.ts';
import { printable, wrap } from '../terminal/width.ts';
import { localTime } from '../terminal/local-time.ts';
import { since } from '../terminal/duration.ts';
import { paint, type Screen } from '../terminal/screen.ts';
import type { StatusView } from './view.ts';

export function brokerText({ broker }: StatusView, privateSocket: string, now: number, screen: Screen): string {
  const text =
    broker === null
      ? `broker: none runs (${printable(privateSocket)}); start it with: cms serve, or for good: cms service install`
      : `broker: pid ${broker.pid}, cms ${printable(broker.cms)}, up since ${localTime(broker.started_at).slice(0, 16)} (${since(broker.started_at, now)}), ` +
        `${counted(broker.requests, 'request')}, ${broker.failures.toLocaleString('en-US')} not served`;
  return `${wrap(text, screen.columns, '        ')}\n`;
}

function counted(count: number, noun: string): string {
  return `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`;
}

const TITLES = ['SOCKET', 'MODE', 'GROUP', 'HANDS OUT', 'TO'];

const BY_MODE = 'by mode';

/** As a table where that fits, else each socket with what it is for on lines of its own. */
export function socketsText(sockets: readonly SocketStatus[], screen: Screen): string {
  const rows = sockets.map((socket) => socketRow(socket, screen));
  if (tableWidth(TITLES, rows) <= screen.columns) {
    return table(
      TITLES.map((title) => paint(screen, 'bold', title)),
      rows,
    );
  }
  return rows
    .map(([path = '', ...rest]) => `${path}\n${wrap(`  ${inWords(rest)}`, screen.columns, '    ')}\n`)
    .join('');
}

function inWords([mode = '', group = '', what = '', to = '']: readonly string[]): string {
  const owner = mode === '-' ? '' : `mode ${mode}${group === '-' ? '' : `, group ${group}`}: `;
  if (to === BY_MODE) return `${owner}${what}, as its mode allows`;
  return `${owner}${what}, to ${to}`.replace(/(NOT THERE[^,]*), to /, '$1: ');
}

function socketRow(socket: SocketStatus, screen: Screen): string[] {
  const { path, mode, group, protocols, accounts, users, passwords, error } = socket;
  if (error !== undefined) return [printable(path), '-', '-', paint(screen, 'red', 'NOT THERE'), printable(error)];
  const what = [protocols?.join(',') ?? 'all protocols', accounts?.join(','), passwords ? 'passwords' : undefined];
  const to = socket.private ? 'you' : (users?.join(',') ?? BY_MODE);
  return [path, mode, group ?? '-', what.filter(Boolean).join(', '), to].map(printable);
}
