/** The notification on the desktop, by the `notify-send` of libnotify. Pure, but for the look at the file system. */
import { existsSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import type { Environment } from '../os/paths.ts';
import { redact } from '../core/redact.ts';
import { details, type Event, headline, plain } from './event.ts';
import { isExecutable } from '../os/look.ts';

/** Path of notify-send, or undefined where there is none on the PATH. */
export function findNotifySend({ PATH = '' }: Environment): string | undefined {
  const folders = PATH.split(delimiter).filter((folder) => isAbsolute(folder));
  return folders.map((folder) => join(folder, 'notify-send')).find(isExecutable);
}

/** Whether there is a desktop session, as far as its bus tells. */
export function hasSessionBus({ DBUS_SESSION_BUS_ADDRESS, XDG_RUNTIME_DIR }: Environment): boolean {
  if (DBUS_SESSION_BUS_ADDRESS) return true;
  return XDG_RUNTIME_DIR !== undefined && XDG_RUNTIME_DIR !== '' && existsSync(join(XDG_RUNTIME_DIR, 'bus'));
}

/** The command that shows the event, which has also happened to `others` more accounts. */
export function notifySendArguments(program: string, event: Event, others = 0): string[] {
  const urgency = { authorization_required: 'critical', degraded: 'normal', refreshed: 'low', recovered: 'low' };
  const body = details(event, others).map((line) => escaped(plain(redact(line))));
  return [
    program,
    ...['--app-name=cms', `--urgency=${urgency[event.name]}`, '--icon=mail-unread', '--'],
    plain(headline(event, others)),
    body.join('\n'),
  ];
}

/** The body is mark-up (the summary is not), and notify-send itself reads backslashes in it. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('\\', '\\\\');
}
