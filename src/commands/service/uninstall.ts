import { Flags } from '@oclif/core';
import { run, runScriptAsRoot } from '../../lib/os/process.ts';
import { systemctl } from '../../lib/service/plan.ts';
import { renderSystemUninstall } from '../../lib/service/system-script.ts';
import { findSystemd, mustRun } from '../../lib/service/systemd.ts';
import { installedUnits, refuseRoot, removeUnits, userUnitDir } from '../../lib/service/user-service.ts';
import { BaseCommand } from '../base.ts';

export default class ServiceUninstall extends BaseCommand {
  static override readonly summary = 'stop the service and remove its units';
  static override readonly description =
    'Removes only what service install wrote. Accounts, grants, settings, your own units and lingering stay.';
  static override readonly examples = [
    '<%= config.bin %> service uninstall',
    '<%= config.bin %> service uninstall --system --yes',
  ];
  static override readonly flags = {
    system: Flags.boolean({ description: 'the service of the host instead of yours' }),
    'dry-run': Flags.boolean({ aliases: ['print'], description: 'show what would be removed, and change nothing' }),
    yes: Flags.boolean({ description: 'do not ask for confirmation' }),
    json: BaseCommand.jsonFlag,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(ServiceUninstall);
    if (flags.system) return this.#uninstallSystem(flags);
    refuseRoot(process.getuid?.(), process.env, 'service uninstall');
    const units = await installedUnits(userUnitDir(process.env));
    const ours = units.filter((unit) => unit.ours);
    for (const { path, ours: own } of units) if (!own) this.say(`cms: left alone, because it is not of cms: ${path}`);
    if (!flags.json) process.stdout.write(ours.map(({ path }) => `${path}\n`).join(''));
    const done =
      ours.length > 0 && !flags['dry-run'] && (flags.yes || (await this.agreed('Stop and remove these?', false)));
    if (done) await this.#uninstall(ours);
    if (flags.json) this.printJson({ units: ours.map(({ path }) => path), removed: done });
    else if (done) this.say('cms: the service is gone; accounts and grants stay');
    else if (ours.length === 0) this.say('cms: no service of cms is installed');
  }

  /** Without systemd the files alone are removed: they may come from a disk that was copied. */
  async #uninstall(units: Awaited<ReturnType<typeof installedUnits>>): Promise<void> {
    const systemd = await findSystemd(run, process.env, process.getuid?.(), false);
    if (systemd) await mustRun(systemd.run, systemctl('disable', '--now', ...units.map(({ name }) => name)));
    await removeUnits(units);
    if (systemd) await mustRun(systemd.run, systemctl('daemon-reload'));
  }

  async #uninstallSystem(flags: { yes: boolean; json: boolean; 'dry-run': boolean }): Promise<void> {
    const script = renderSystemUninstall();
    if (flags.json && !flags.yes) this.printJson({ script });
    else if (!flags.yes || flags['dry-run']) process.stdout.write(script);
    if (flags['dry-run'] || !(flags.yes || (await this.agreed('Run this script as root?', false)))) return;
    await runScriptAsRoot(script);
    if (flags.json) this.printJson({ removed: true });
  }
}
