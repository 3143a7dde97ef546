/** Our commands as they have to be typed for root. */
import { accessSync, constants, realpathSync } from 'node:fs';
import { join } from 'node:path';

/** Where sudo looks on Debian; the setting itself stands in a file that only root reads. @see sudoers(5), secure_path */
const SECURE_PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** @param command begins with `cms`, which sudo does not find where npm has put it into a user's home */
export function bySudo(command: string, script = process.argv[1] ?? '', securePath = SECURE_PATH): string {
  const finds = securePath.some((folder) => isSame(join(folder, 'cms'), script)) && securePath.some(hasNode);
  return finds ? `sudo ${command}` : `sudo env "PATH=$PATH" ${command}`;
}

function isSame(path: string, script: string): boolean {
  try {
    return realpathSync(path) === realpathSync(script);
  } catch {
    return false;
  }
}

/** The first line of the program asks for it. */
function hasNode(folder: string): boolean {
  try {
    accessSync(join(folder, 'node'), constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
