/** Frozen mail in exim's queue: it could neither be delivered nor returned, and exim tells no one. */
import { CmsError } from '../core/errors.ts';
import type { Run } from '../os/process.ts';
import { MTA_GROUP } from './render/options.ts';

export interface FrozenMail {
  count: number;
  /** Age of the oldest, as exim writes it: `25m`, `2d`. Absent without any. */
  oldest?: string;
}

/** Reads `exim -bp`, which lists the oldest first. Pure. */
export function frozenIn(listing: string): FrozenMail {
  const ages = [...listing.matchAll(/^ *(\d+[mhdw]) .* \*\*\* frozen \*\*\*$/gm)].flatMap(([, age]) => age ?? []);
  const [oldest] = ages;
  return { count: ages.length, ...(oldest !== undefined && { oldest }) };
}

/** `2 frozen messages in exim's queue, the oldest for 3d`; undefined for none. */
export function frozenWords({ count, oldest }: FrozenMail): string | undefined {
  if (oldest === undefined) return undefined;
  const [messages, since] = count === 1 ? ['message', `for ${oldest}`] : ['messages', `the oldest for ${oldest}`];
  return `${count} frozen ${messages} in exim's queue, ${since}`;
}

/**
 * Looks, where exim shows the caller all of its queue: to root and to its own group; others see their own mail alone.
 * @param bySudo whether sudo without a password may be used in addition
 * @returns undefined where exim does not show it
 */
export async function frozenMail(run: Run, binary: string, bySudo = false): Promise<FrozenMail | undefined> {
  try {
    const sudo = (await isShown(run)) ? [] : bySudo ? ['sudo', '-n'] : undefined;
    if (sudo === undefined) return undefined;
    const { status, stdout } = await run([...sudo, binary, '-bp']);
    return status === 0 ? frozenIn(stdout) : undefined;
  } catch (error) {
    if (error instanceof CmsError) return undefined;
    throw error;
  }
}

async function isShown(run: Run): Promise<boolean> {
  if (process.getuid?.() === 0) return true;
  const gid = Number((await run(['getent', 'group', MTA_GROUP])).stdout.split(':')[2] ?? '');
  return Number.isInteger(gid) && gid > 0 && process.getgroups?.().includes(gid) === true;
}
