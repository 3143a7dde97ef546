/** The service: whether systemd has it, will start it, runs it, and whether its units are of now. */
import type { Run } from '../../os/process.ts';
import type { Environment } from '../../os/paths.ts';
import { isHeadless } from '../../service/plan.ts';
import type { Program } from '../../service/program.ts';
import { findSystemd, lingers, type UnitState, unitState } from '../../service/systemd.ts';
import {
  type InstalledUnit,
  installedUnits,
  readUserPlan,
  staleness,
  userUnitDir,
} from '../../service/user-service.ts';
import { failure, type Judgement, ok, skipped, warning } from '../check.ts';
import type { Step } from '../run-checks.ts';

export interface ServiceFacts {
  /** Units of ours in the user's folder. */
  units: readonly InstalledUnit[];
  /** Undefined where no service manager answers. */
  state: UnitState | undefined;
  lingering: boolean;
  /** What differs from what would be installed now. */
  stale: readonly string[];
  /** There is no desktop, or exim needs the broker. */
  alone: boolean;
}

export interface ServiceLook {
  run: Run;
  env: Environment;
  uid: number | undefined;
  user: string;
  program: Program;
  /** Process of the broker that answers. */
  brokerPid: number | undefined;
}

const INSTALL = 'cms service install --now';

export async function serviceFacts({ run, env, uid, user, program }: ServiceLook): Promise<ServiceFacts> {
  const units = (await installedUnits(userUnitDir(env))).filter(({ ours }) => ours);
  const facts: ServiceFacts = { units, state: undefined, lingering: lingers(user), stale: [], alone: isHeadless(env) };
  if (units.length === 0) return facts;
  const systemd = await findSystemd(run, env, uid, false).catch(() => undefined);
  const state = systemd && (await unitState(systemd, 'cms.service'));
  const { files } = await readUserPlan({ user, env, program }, { now: false, linger: undefined });
  return { ...facts, state, stale: staleness(units, files) };
}

export function serviceSteps({ brokerPid, user }: ServiceLook, facts: ServiceFacts): Step[] {
  const step = (id: string, judgement: Judgement, needs: readonly string[] = []): Step => ({
    ...{ id, subject: '', needs },
    look: () => Promise.resolve(judgement),
  });
  const installed = step('service', judgeInstalled(facts, user));
  if (facts.units.length === 0) return [installed];
  return [
    installed,
    step('service.units', judgeUnits(facts), ['service']),
    step('service.enabled', judgeEnabled(facts), ['service']),
    step('service.active', judgeActive(facts, brokerPid), ['service', 'broker']),
    step('service.linger', judgeLinger(facts, user), ['service']),
  ];
}

const NO_MANAGER = 'no service manager of yours answers';

function judgeInstalled({ units, state }: ServiceFacts, user: string): Judgement {
  if (units.length === 0)
    return skipped('no service of yours is installed', {
      fix: ['cms service install   # the broker is then started by systemd'],
    });
  if (state !== undefined) return ok(units.map(({ path }) => path).join(', '));
  return warning('installed, but no service manager of yours answers', {
    cause: 'systemd does not run this host, or you are not logged in',
    fix: [`sudo loginctl enable-linger ${user}`, 'cms serve   # in a terminal'],
  });
}

export function judgeUnits({ stale }: ServiceFacts): Judgement {
  const [first] = stale;
  if (first === undefined) return ok('as they would be written now');
  const remedy = { cause: stale.slice(1).join('; '), fix: [INSTALL] };
  if (stale.some((each) => each.includes('is gone'))) return failure('config_invalid', first, remedy);
  return warning(first, remedy.cause === '' ? { fix: [INSTALL] } : remedy);
}

function judgeEnabled({ state }: ServiceFacts): Judgement {
  if (state === undefined) return skipped(NO_MANAGER);
  if (state.enabled) return ok('it is started at login');
  return warning('it is not started by itself', { fix: ['systemctl --user enable cms.service cms.socket'] });
}

function judgeActive({ state }: ServiceFacts, brokerPid: number | undefined): Judgement {
  if (state === undefined) return skipped(NO_MANAGER);
  if (!state.active)
    return warning(`the service is ${state.state}, and a broker runs without it (pid ${brokerPid ?? '?'})`, {
      cause: 'it was started by hand',
      fix: [`kill ${brokerPid ?? 'PID'}; sleep 2; systemctl --user restart cms`],
    });
  if (state.pid === undefined || brokerPid === undefined || state.pid === brokerPid)
    return ok(state.statusText || 'active');
  return warning(`another broker answers (pid ${brokerPid}) than that of the service (pid ${state.pid})`, {
    fix: [`kill ${brokerPid}; sleep 2; systemctl --user restart cms`],
  });
}

export function judgeLinger({ lingering, alone }: ServiceFacts, user: string): Judgement {
  if (lingering) return ok('it runs while you are logged out');
  if (!alone) return skipped('it runs while you are logged in, as on a desktop');
  return warning('it ends when you log out, and mail waits until you are back', {
    fix: [`sudo loginctl enable-linger ${user}`],
  });
}
