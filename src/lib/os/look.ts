/** What is at a path, for questions to which "it cannot be looked at" is an answer. */
import { accessSync, constants, lstatSync, readFileSync, type Stats } from 'node:fs';

/** Follows no link. undefined where nothing is there, or a directory on the way is closed. */
export function lookAt(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Empty where the file cannot be read. */
export function textIfAny(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
