import { userInfo } from 'node:os';
import { Flags } from '@oclif/core';
import { EXIT_STATUS } from '../../lib/core/errors.ts';
import { run } from '../../lib/os/process.ts';
import { SYSTEM } from '../../lib/service/system.ts';
import {
  CREDENTIALS_SINCE,
  findSystemd,
  lingers,
  systemdVersion,
  type UnitState,
  unitState,
} from '../../lib/service/systemd.ts';
import { systemUnits } from '../../lib/service/units.ts';
import { installedUnits, readUserPlan, staleness, userUnitDir } from '../../lib/service/user-service.ts';
import { BaseCommand } from '../base.ts';
import { programOf } from './install.ts';

interface View {
  systemd: boolean;
  installed: boolean;
  enabled: boolean;
  active: boolean;
  state: string;
  pid: number | null;
  lingering: boolean | null;
  units: string[];
  stale: string[];
  status: string;
}

export default class ServiceStatus extends BaseCommand {
  static override readonly summary = 'show whether the service is installed, enabled and running';
  static override readonly description =
    'Also shows what is out of date: a unit that would be written differently now, a program that no longer exists. The exit status is 0 if the service runs, otherwise 69.';
  static override readonly examples = ['<%= config.bin %> service status', '<%= config.bin %> service status --system'];
  static override readonly flags = {
    system: Flags.boolean({ description: 'the service of the host instead of yours' }),
    json: BaseCommand.jsonFlag,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(ServiceStatus);
    const view = await this.#view(flags.system);
    if (flags.json) this.printJson(view);
    else process.stdout.write(render(view, flags.system));
    if (!view.active) process.exitCode = EXIT_STATUS.broker_unavailable;
  }

  async #view(system: boolean): Promise<View> {
    const systemd = await findSystemd(run, process.env, process.getuid?.(), system);
    const units = await installedUnits(system ? SYSTEM.unitDir : userUnitDir(process.env));
    const ours = units.filter((unit) => unit.ours);
    const state: UnitState | undefined = systemd && (await unitState(systemd, 'cms.service'));
    return {
      systemd: systemd !== undefined,
      installed: ours.some(({ name }) => name === 'cms.service'),
      enabled: state?.enabled ?? false,
      active: state?.active ?? false,
      state: state?.state ?? 'unknown',
      pid: state?.pid ?? null,
      lingering: system ? null : lingers(userInfo().username),
      units: units.map(({ path, ours: own }) => (own ? path : `${path} (not of cms)`)),
      stale: ours.length === 0 ? [] : staleness(ours, await this.#wanted(system)),
      status: state?.statusText ?? '',
    };
  }

  async #wanted(system: boolean): Promise<readonly { name: string; text: string }[]> {
    const program = programOf(this.config.root);
    if (system) return systemUnits({ program, credential: (await systemdVersion(run)) >= CREDENTIALS_SINCE });
    const wishes = { now: false, linger: undefined };
    return (await readUserPlan({ user: userInfo().username, env: process.env, program }, wishes)).files;
  }
}

function render(view: View, system: boolean): string {
  const { systemd, installed, enabled, active, state, pid, lingering, units, stale, status } = view;
  const yesNo = (value: boolean): string => (value ? 'yes' : 'no');
  const rows = [
    ...(systemd ? [] : [['systemd', 'does not run this host']]),
    ['installed', installed ? 'yes' : 'no; cms service install'],
    ['enabled', yesNo(enabled)],
    ['active', active ? `yes${pid === null ? '' : `, pid ${pid}`}` : `no (${state})`],
    ...(lingering === null ? [] : [['lingering', lingering ? 'yes' : 'no; it ends when you log out']]),
    ...(status === '' ? [] : [['says', status]]),
    ...units.map((path) => ['unit', path]),
    ...stale.map((what) => ['stale', what]),
  ];
  const fix = stale.length === 0 ? '' : `fix it with: cms service install${system ? ' --system' : ''} --now\n`;
  return rows.map(([name = '', value = '']) => `${name.padEnd(11)}${value}\n`).join('') + fix;
}
