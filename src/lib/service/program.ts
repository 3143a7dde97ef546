/** Which program a unit starts: this very one, by paths that will still be there at the next boot. */
import { lstatSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CmsError } from '../core/errors.ts';
import { quoted } from '../core/shell-word.ts';
import { judgeWay, requireFile } from '../os/files/trusted.ts';

export interface Program {
  /** Absolute path of node. */
  node: string;
  /** Absolute path of bin/run.js. */
  script: string;
}

/** Where package runners keep what they delete when they please. */
const VANISHING = [/\/_npx\//, /\/pnpm\/dlx[-/]/, /\/dlx-\d+\//, /\/xfs-[0-9a-f]+\//, /\/bunx-[^/]*\//, /\/\.mount_/];
/** Closed to other users as a rule, and hidden from the system's service. */
const PERSONAL = /^\/(home|root|run\/user)\//;

/**
 * Refuses paths that go away, and for the system's service those of one person.
 * @throws CmsError `config_invalid`
 */
export function requireLasting({ node, script }: Program, system: boolean): void {
  for (const path of [node, script]) {
    if (VANISHING.some((pattern) => pattern.test(path))) {
      throw new CmsError(
        'config_invalid',
        `${path} lies in a cache that is emptied some day: no service can rely on it`,
        {
          suggestions: ['npm install -g cms-oauth   # then: cms service install'],
        },
      );
    }
    if (system && PERSONAL.test(path)) {
      throw new CmsError('config_invalid', `${path} belongs to one person: the system's service cannot run it`, {
        suggestions: [
          'sudo npm install -g cms-oauth   # with a node of the system, below /usr',
          'cms service install   # or a service of your own',
        ],
      });
    }
  }
}

/**
 * Refuses a program that another user could exchange before the service starts it.
 * @throws CmsError `config_invalid`
 */
export function requireOwnProgram({ node, script }: Program): void {
  for (const path of [node, script]) {
    const refuse = (why: string, suggestions: string[]): CmsError =>
      new CmsError('config_invalid', `no service can start ${path}: ${why}`, { suggestions });
    const { path: real, stat } = judgeWay(path, { links: true, refuse });
    if (stat === undefined) throw refuse('it is not there', [`ls -l ${quoted(path)}`]);
    requireFile(real, stat, { refuse });
  }
  requireOwnTree(packageOf(script));
}

/** The folder with all that a script of ours loads. */
export function packageOf(script: string): string {
  return dirname(dirname(script));
}

/** What was unpacked with the owners of elsewhere, or is a link to another place, is found by no look at the way. */
function requireOwnTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    const refuse = (why: string): CmsError =>
      new CmsError('config_invalid', `no service can load ${path}: ${why}`, {
        suggestions: ['npm install -g cms-oauth   # as the owner, or as root'],
      });
    if (entry.isFile()) requireFile(path, lstatSync(path), { refuse });
    else judgeWay(path, { links: true, refuse });
    if (entry.isDirectory()) requireOwnTree(path);
  }
}

/** What to say about a path that is good for now. */
export function programRemark({ node, script }: Program): string | undefined {
  const path = [node, script].find((each) => /^\/(var\/)?tmp\//.test(each));
  return path === undefined ? undefined : `${path} lies in a folder that is emptied at boot`;
}
