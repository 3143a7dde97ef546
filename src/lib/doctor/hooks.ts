/** The programs of `[hooks]`: whether the broker would run them. */
import { requireTrustedProgram } from '../notify/hooks.ts';
import { EVENT_NAMES, type HookSettings } from '../settings/hooks.ts';
import { ok, skipped } from './finding.ts';
import type { Step } from './walk.ts';

export function hookSteps(hooks: HookSettings, uid: number): Step[] {
  const steps = EVENT_NAMES.flatMap((name): Step[] => {
    const [program] = hooks[name] ?? [];
    if (program === undefined) return [];
    return [
      {
        id: 'hook',
        subject: `${name} ${program}`,
        look: async () => {
          await requireTrustedProgram(program, uid);
          return ok('would be run');
        },
      },
    ];
  });
  if (steps.length > 0) return steps;
  return [{ id: 'hook', subject: '', look: () => Promise.resolve(skipped('config.toml names none')) }];
}
