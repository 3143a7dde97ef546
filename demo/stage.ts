/** What the steps of the demo share. */
import { quoted } from '../src/lib/core/shell-word.ts';
import type { Screen } from './terminal.ts';
import type { Cleanup } from './cleanup.ts';
import type { Runner } from './runner.ts';
import type { Servers } from './servers.ts';
import type { Workspace } from './workspace.ts';

export interface Cms {
  /** The command line that is run. */
  argv: (args: readonly string[]) => string[];
  /** The same, as a person would type it. */
  shown: (args: readonly string[]) => string;
}

export interface Stage {
  screen: Screen;
  cleanup: Cleanup;
  runner: Runner;
  workspace: Workspace;
  servers: Servers;
  cms: Cms;
  /** The person's own browser instead of the scripted one. */
  ownBrowser: boolean;
}

export function cmsAt(program: string): Cms {
  return {
    argv: (args) => [process.execPath, program, ...args],
    shown: (args) => ['cms', ...args].map(quoted).join(' '),
  };
}
