/** The audit trail as a table. Pure. */
import type { AuditLine } from '../broker/server/audit.ts';
import { localTime } from '../terminal/local-time.ts';
import { table } from '../terminal/table.ts';
import { printable } from '../terminal/width.ts';

export function auditText(lines: readonly AuditLine[]): string {
  if (lines.length === 0) return 'nothing has been asked for yet\n';
  return table(
    ['WHEN', 'WHO', 'PROGRAM', 'ACCOUNT', 'FOR', 'RESULT'],
    lines.map((line) => auditRow(line).map(printable)),
  );
}

function auditRow({ time, user, uid, pid, command, account, protocol, form, result, reason }: AuditLine): string[] {
  return [
    localTime(time),
    user ?? (uid === undefined ? '?' : String(uid)),
    `${command ?? '?'}${pid === undefined ? '' : ` (${pid})`}`,
    account ?? '-',
    [protocol, form === 'xoauth2' ? undefined : form].filter(Boolean).join(',') || '-',
    result === 'served' ? result : `${result}: ${reason ?? ''}`,
  ];
}
