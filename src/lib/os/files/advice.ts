/** What to do if the system denies access to a path. */
import { dirname } from 'node:path';
import { lookAt } from '../look.ts';
import { quoted } from '../../core/shell-word.ts';

/** @param reason the system's word: `ENOSPC`, `EACCES` */
export function cures(path: string, reason: string): string[] {
  const folder = dirname(path);
  if (reason === 'ENOSPC') return [`df -h ${quoted(folder)}`];
  if (reason === 'EROFS') return [`findmnt -T ${quoted(folder)}   # is mounted read-only`];
  const opening = reason === 'EACCES' ? openingOf(path) : undefined;
  return [opening ?? `ls -ld ${quoted(folder)} ${quoted(path)}`];
}

/** The command that opens what its owner has closed to himself; from above, as nothing below can be looked at. */
function openingOf(path: string): string | undefined {
  const above = dirname(path);
  const opening = above === path ? undefined : openingOf(above);
  if (opening !== undefined) return opening;
  const stat = lookAt(path);
  if (stat === undefined || stat.uid !== process.getuid?.()) return undefined;
  const mode = stat.isDirectory() ? 0o700 : 0o600;
  return (stat.mode & mode) === mode ? undefined : `chmod ${mode.toString(8)} ${quoted(path)}`;
}
