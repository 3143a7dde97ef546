/** `[notify]` of `config.toml`: who is told, and how often, that an account needs attention. */
import { tryParseAddress } from '../accounts/address.ts';
import type { CmsError } from '../core/errors.ts';
import { tableOf } from './hooks.ts';

/** What is absent has a default that depends on the machine or on the other settings. */
export interface NotifySettings {
  /** By default where there is a session bus and `notify-send`. */
  desktop?: boolean;
  /** An account that sends the mail, or true for whichever is well; by default none does. */
  mail?: string | boolean;
  /** By default the account that sends it. */
  mailTo?: string;
  /** Milliseconds between reminders; undefined means the default, 0 none at all. */
  reminderMs?: number;
  /** By default where `cms exim-config --install` has been. */
  flushQueue?: boolean;
}

const KEYS = ['desktop', 'mail', 'mail_to', 'reminder', 'flush_queue'];
const UNIT_MS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** @param fail makes the error that names the file. @throws CmsError `config_invalid` */
export function parseNotify(value: unknown, fail: (why: string) => CmsError): NotifySettings {
  const { desktop, mail, mail_to, reminder, flush_queue } = tableOf(value, KEYS, fail);
  if (!isFlag(desktop)) throw fail('desktop is true or false');
  if (!isFlag(flush_queue)) throw fail('flush_queue is true or false');
  return {
    ...(desktop !== undefined && { desktop }),
    ...(flush_queue !== undefined && { flushQueue: flush_queue }),
    ...(mail !== undefined && { mail: typeof mail === 'boolean' ? mail : addressOf(mail, 'mail', fail) }),
    ...(mail_to !== undefined && { mailTo: addressOf(mail_to, 'mail_to', fail) }),
    ...(reminder !== undefined && { reminderMs: parseInterval(reminder, fail) }),
  };
}

function isFlag(value: unknown): value is boolean | undefined {
  return value === undefined || typeof value === 'boolean';
}

function addressOf(value: unknown, name: string, fail: (why: string) => CmsError): string {
  const address = typeof value === 'string' ? tryParseAddress(value) : undefined;
  if (address === undefined) throw fail(`${name} is ${name === 'mail' ? 'true, false or ' : ''}an address`);
  return address;
}

/** `90s`, `30m`, `24h`, `7d`, `never`. */
function parseInterval(value: unknown, fail: (why: string) => CmsError): number {
  if (value === 'never') return 0;
  const [, count = '', unit = ''] = typeof value === 'string' ? (/^([1-9]\d{0,4})([smhd])$/.exec(value) ?? []) : [];
  const milliseconds = Number(count) * (UNIT_MS[unit] ?? 0);
  if (milliseconds === 0) throw fail('reminder is an interval such as "24h", or "never"');
  return milliseconds;
}
