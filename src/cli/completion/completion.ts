import { bashCompletion } from './bash.ts';
import type { CommandLine } from './command.ts';
import { fishCompletion } from './fish.ts';
import { zshCompletion } from './zsh.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** The script that teaches a shell the commands, flags and values of `cms`. Pure. */
export function completionFor(shell: Shell, line: CommandLine): string {
  switch (shell) {
    case 'bash':
      return bashCompletion(line);
    case 'zsh':
      return zshCompletion(line);
    case 'fish':
      return fishCompletion(line);
  }
}

/** What the file is called where the shell looks for it. */
export const COMPLETION_FILES: Readonly<Record<Shell, string>> = { bash: 'cms.bash', zsh: '_cms', fish: 'cms.fish' };
