/** A stand-in for the desktop's dialog that asks for the keyring's password: it says that it was opened, and waits. */
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Keyring } from '../../../support/keyring.ts';
import { run } from '../../../support/processes.ts';

const NAME = 'org.gnome.keyring.SystemPrompter';

/** @returns how many dialogs have been opened since; nobody answers them, as on a screen without anybody before it */
export async function watchDialogs(keyring: Keyring): Promise<() => number> {
  const data = keyring.env.XDG_DATA_HOME!;
  const opened = join(data, 'dialogs');
  const services = join(data, 'dbus-1', 'services');
  const program = join(data, 'dialog.sh');
  await mkdir(services, { recursive: true });
  // It never takes its name on the bus, so whoever waits for it waits.
  await writeFile(program, `#!/bin/sh\necho opened >> ${opened}\nexec sleep 60 >/dev/null 2>&1\n`, { mode: 0o755 });
  await writeFile(join(services, `${NAME}.service`), `[D-BUS Service]\nName=${NAME}\nExec=${program}\n`);
  const bus = ['--dest=org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus.ReloadConfig'];
  await run('dbus-send', ['--session', '--print-reply', ...bus], { env: keyring.env });
  return () => (existsSync(opened) ? readFileSync(opened, 'utf8').trim().split('\n').length : 0);
}
