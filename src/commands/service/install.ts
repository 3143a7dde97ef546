import { realpathSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { Flags } from '@oclif/core';
import { brokerSocket } from '../../lib/broker/find.ts';
import { CmsError } from '../../lib/core/errors.ts';
import { run, runScriptAsRoot } from '../../lib/os/process.ts';
import { resolvePaths } from '../../lib/os/paths.ts';
import type { UserPlan } from '../../lib/service/plan.ts';
import { type Program, requireOwnProgram } from '../../lib/service/program.ts';
import { renderSystemInstall } from '../../lib/service/system-script.ts';
import {
  CREDENTIALS_SINCE,
  enableLinger,
  findSystemd,
  mustRun,
  systemdVersion,
  unitState,
} from '../../lib/service/systemd.ts';
import type { Systemd } from '../../lib/service/systemd.ts';
import {
  readUserPlan,
  refuseRoot,
  requireNoOther,
  requireReplaceable,
  writeUnits,
} from '../../lib/service/user-service.ts';
import { alternatives } from '../../lib/service/without-systemd.ts';
import { BaseCommand } from '../base.ts';

export default class ServiceInstall extends BaseCommand {
  static override readonly summary = 'run the broker under systemd';
  static override readonly description = `Shows the units, asks, then writes and enables them. The broker starts \
when you log in, or at boot if lingering is enabled, and at the first request on one of its sockets.

--system installs a broker for the host, with its own user and accounts: it shows a script, asks, and runs it with \
sudo. On a host without systemd, it shows other ways to start the broker.`;
  static override readonly examples = [
    '<%= config.bin %> service install --now',
    '<%= config.bin %> service install --dry-run',
    '<%= config.bin %> service install --system --now',
  ];
  static override readonly flags = {
    system: Flags.boolean({ description: 'install for the host, with its own user' }),
    now: Flags.boolean({ description: 'start or restart the broker immediately' }),
    linger: Flags.boolean({
      allowNo: true,
      exclusive: ['system'],
      description: 'run without a login (default: if exim uses the broker, or there is no desktop)',
    }),
    'dry-run': Flags.boolean({
      aliases: ['print'],
      description: 'show what would be written and run, and change nothing',
    }),
    yes: Flags.boolean({ description: 'do not ask for confirmation' }),
    json: BaseCommand.jsonFlag,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(ServiceInstall);
    const program = programOf(this.config.root);
    const uid = process.getuid?.();
    if (!flags.system) refuseRoot(uid, process.env, 'service install');
    requireOwnProgram(program);
    const systemd = await findSystemd(run, process.env, uid, flags.system);
    if (systemd === undefined) throw this.#withoutSystemd(program);
    if (flags.system) return this.#installSystem(systemd, program, flags);
    const plan = await readUserPlan({ user: userInfo().username, env: process.env, program }, flags);
    await requireReplaceable(plan.files);
    if (!flags.yes || flags['dry-run']) this.#show(plan);
    for (const remark of plan.remarks) this.say(`cms: note: ${remark}`);
    if (flags['dry-run'] || !(flags.yes || (await this.agreed('Write and enable these units?', true)))) return;
    await this.#install(systemd, plan, flags);
  }

  async #install(systemd: Systemd, plan: UserPlan, { now, json }: { now: boolean; json: boolean }): Promise<void> {
    const { pid } = await unitState(systemd, 'cms.service');
    if (now) await requireNoOther(brokerSocket(resolvePaths(process.env)), pid);
    const written = await writeUnits(plan.files);
    for (const command of plan.commands) await mustRun(systemd.run, command);
    const refusal = plan.linger && (await enableLinger(systemd.run, plan.linger));
    if (refusal !== undefined) this.say(`cms: warning: ${refusal}; try: sudo ${plan.linger?.join(' ') ?? ''}`);
    if (json) this.printJson({ written, enabled: true, started: now, lingering: plan.linger && refusal === undefined });
    else this.say(now ? 'cms: the broker runs: cms status' : START_LATER);
  }

  async #installSystem(systemd: Systemd, program: Program, flags: Consent & { now: boolean }): Promise<void> {
    const credential = (await systemdVersion(systemd.run)) >= CREDENTIALS_SINCE;
    const script = renderSystemInstall({ program, credential, now: flags.now });
    if (!flags.yes || flags['dry-run']) {
      if (flags.json) this.printJson({ script });
      else process.stdout.write(script);
    }
    if (flags['dry-run'] || !(flags.yes || (await this.agreed('Run this script as root?', false)))) return;
    await runScriptAsRoot(script);
    if (flags.json) this.printJson({ enabled: true, started: flags.now });
  }

  #show({ files, commands, linger, remarks }: UserPlan): void {
    const all = linger === undefined ? commands : [...commands, linger];
    if (this.wantsJson) return this.printJson({ files, commands: all, remarks });
    for (const { path, text } of files) process.stdout.write(`# ${path}\n${text}\n`);
    process.stdout.write(`${all.map((command) => command.join(' ')).join('\n')}\n`);
  }

  #withoutSystemd(program: Program): CmsError {
    const ways = alternatives(program, userInfo().username, process.platform);
    if (this.wantsJson) this.printJson({ alternatives: ways });
    else process.stdout.write(ways.map(({ title, text }) => `# ${title}\n${text}`).join('\n'));
    return new CmsError('config_invalid', 'systemd does not run this host; the broker can be started otherwise', {
      suggestions: ['cms serve   # in a terminal', 'one of the ways above'],
    });
  }
}

interface Consent {
  yes: boolean;
  json: boolean;
  'dry-run': boolean;
}

const START_LATER = 'cms: the broker starts at the next login, or now: systemctl --user start cms.socket cms.service';

/** This very program; a link in a bin folder leads elsewhere after an upgrade of node. */
export function programOf(root: string): Program {
  return { node: process.execPath, script: realpathSync(join(root, 'bin', 'run.js')) };
}
