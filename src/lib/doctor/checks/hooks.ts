/** `[hooks]` and `[notify]`: whether the broker would run the programs, and whether an account can send the mail. */
import type { Account } from '../../accounts/account.ts';
import { requireTrustedProgram } from '../../notify/hooks.ts';
import { mailTrouble } from '../../notify/mail.ts';
import { EVENT_NAMES, type HookSettings } from '../../config/hooks.ts';
import type { NotifySettings } from '../../config/notify.ts';
import { ok, skipped, warning } from '../check.ts';
import type { Step } from '../run-checks.ts';

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

export function notifySteps(settings: NotifySettings, accounts: readonly Account[]): Step[] {
  if (settings.mail === undefined || settings.mail === false) return [];
  const fix = ['set mail in [notify] of config.toml to an account that sends', 'cms account list'];
  const trouble = mailTrouble(settings, accounts);
  const judgement = trouble === undefined ? ok('an account can send it') : warning(`not sent: ${trouble}`, { fix });
  return [{ id: 'notify.mail', subject: '', look: () => Promise.resolve(judgement) }];
}
