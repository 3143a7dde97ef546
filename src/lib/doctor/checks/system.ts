/**
 * The service of the whole host: its units, its key, its sockets, and whether the MTA can open the one that is for it.
 * All facts are gathered in one go, with the rights of the caller: root by sudo is root only for that moment.
 */
import { existsSync } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemErrorCode } from '../../core/errors.ts';
import type { Run } from '../../os/process.ts';
import { MTA_GROUP } from '../../exim/render/options.ts';
import type { Environment, Paths } from '../../os/paths.ts';
import { SYSTEM } from '../../service/system.ts';
import { CREDENTIALS_SINCE, findSystemd, systemdVersion, type UnitState, unitState } from '../../service/systemd.ts';
import { systemUnits } from '../../service/units.ts';
import { type InstalledUnit, installedUnits, programPaths, staleness } from '../../service/user-service.ts';
import { quoted } from '../../core/shell-word.ts';
import { bySudo } from '../../os/sudo.ts';
import { octal } from './files.ts';
import { failure, type Judgement, keyOf, ok, skipped, warning } from '../check.ts';
import { judgeProbe, type Probe, usersOf } from './mta.ts';
import type { Step } from '../run-checks.ts';

export interface SystemFacts {
  /** Units of ours; where there are none, nothing is looked at. */
  units: readonly InstalledUnit[];
  /** Undefined where systemd does not answer. */
  state: UnitState | undefined;
  /** Of the socket for exim, where exim was configured for it. */
  eximState: UnitState | undefined;
  stale: readonly string[];
  userThere: boolean;
  /** Undefined where the unit wants none. */
  keyThere: boolean | undefined;
  sockets: readonly SystemSocket[];
  probes: readonly { user: string; path: string; word: string | undefined }[];
}

interface SystemSocket {
  path: string;
  mode: number;
  group: string;
  /** Undefined if nothing is there, `closed` if we have no permission to look. */
  there: Facts | 'closed' | undefined;
  /** The user it should belong to. */
  wanted: { uid: number; gid: number };
}

interface Facts {
  isSocket: boolean;
  uid: number;
  gid: number;
  mode: number;
  folderMode: number;
}

export interface SystemLook {
  run: Run;
  env: Environment;
  uid: number | undefined;
  probe: Probe;
}

const PRIVATE_SOCKET = `${SYSTEM.environment.CMS_RUNTIME_DIR}/cms.sock`;
/** Written by exim-config --install for the user of the service. */
const EXIM_FOLDER_FILE = `/etc/tmpfiles.d/cms-${SYSTEM.user}.conf`;
export const RESTART_OF_HOST = 'sudo systemctl restart cms.service';
const INSTALL = 'cms service install --system --now';

const NONE: SystemFacts = {
  ...{ units: [], state: undefined, eximState: undefined, stale: [], sockets: [], probes: [] },
  ...{ userThere: false, keyThere: undefined },
};

/** @returns nothing of it where no unit of ours is installed for the host */
export async function systemFacts({ run, env, uid, probe }: SystemLook): Promise<SystemFacts> {
  const units = (await installedUnits(SYSTEM.unitDir)).filter(({ ours }) => ours);
  if (units.length === 0) return NONE;
  const systemd = await findSystemd(run, env, uid, true).catch(() => undefined);
  const state = systemd && (await unitState(systemd, 'cms.service'));
  const socketUnit = systemd && (await unitState(systemd, 'cms-exim.socket'));
  const forExim = socketUnit?.enabled === true || existsSync(EXIM_FOLDER_FILE);
  const wanted = [
    { path: PRIVATE_SOCKET, mode: 0o600, group: SYSTEM.user as string },
    ...(forExim ? [{ path: SYSTEM.eximSocket, mode: 0o660, group: MTA_GROUP }] : []),
  ];
  const owner = await idOf(run, 'passwd', SYSTEM.user);
  const sockets = await Promise.all(
    wanted.map(async (socket) => ({
      ...socket,
      there: await factsOf(run, uid, socket.path),
      wanted: { uid: owner ?? -1, gid: (await idOf(run, 'group', socket.group)) ?? -1 },
    })),
  );
  const service = units.find(({ name }) => name === 'cms.service')?.text ?? '';
  return {
    ...{ units, state, sockets, userThere: owner !== undefined },
    eximState: forExim ? socketUnit : undefined,
    stale: await staleUnits(run, units, service),
    keyThere: service.includes(SYSTEM.credentialFile) ? existsSync(SYSTEM.credentialFile) : undefined,
    // A connection would wake a service that does not run.
    probes: forExim && state?.active === true ? await probesOf(run, probe) : [],
  };
}

/** Whether these are the folders of the service, as for `cms service run doctor`. */
export function isOfHost({ units }: SystemFacts, { privateSocket }: Pick<Paths, 'privateSocket'>): boolean {
  return units.length > 0 && privateSocket === PRIVATE_SOCKET;
}

/** Compared with what the program that they start would write: another one may be asking. */
async function staleUnits(run: Run, units: readonly InstalledUnit[], service: string): Promise<string[]> {
  const [node, script] = programPaths(service);
  if (node === undefined || script === undefined) return ['cms.service is missing'];
  const credential = (await systemdVersion(run)) >= CREDENTIALS_SINCE;
  return staleness(units, systemUnits({ program: { node, script }, credential }));
}

async function probesOf(run: Run, probe: Probe): Promise<SystemFacts['probes']> {
  const path = SYSTEM.eximSocket;
  const users = await usersOf(run, { path, mode: 0o660, passwords: false, group: MTA_GROUP });
  return Promise.all(users.map(async (user) => ({ user, path, word: await probe(path, user) })));
}

async function idOf(run: Run, database: 'passwd' | 'group', name: string): Promise<number | undefined> {
  const { stdout } = await run(['getent', database, name]);
  const id = Number(stdout.split(':')[2] ?? '');
  return stdout === '' || !Number.isInteger(id) ? undefined : id;
}

async function factsOf(run: Run, uid: number | undefined, path: string): Promise<SystemSocket['there']> {
  try {
    const [it, folder] = await Promise.all([lstat(path), lstat(dirname(path))]);
    const { uid: owner, gid, mode } = it;
    return { isSocket: it.isSocket(), uid: owner, gid, mode: mode & 0o777, folderMode: folder.mode & 0o7777 };
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    if (code !== 'EACCES') throw error;
    return uid === 0 ? 'closed' : factsByRoot(run, path);
  }
}

/** Where sudo asks for no password. */
async function factsByRoot(run: Run, path: string): Promise<SystemSocket['there']> {
  const asRoot = (argv: string[]): ReturnType<Run> => run(['sudo', '-n', '--', 'env', 'LC_ALL=C', ...argv]);
  const answer = await asRoot(['stat', '-c', '%f %u %g', '--', path, dirname(path)]).catch(() => undefined);
  if (answer === undefined) return 'closed';
  const [it, folder] = answer.stdout.trim().split('\n');
  if (answer.status !== 0) return answer.stderr.includes('No such file') ? undefined : 'closed';
  const [raw = '', uid, gid] = (it ?? '').split(' ');
  const mode = parseInt(raw, 16);
  return {
    isSocket: (mode & 0o170000) === 0o140000,
    ...{ uid: Number(uid), gid: Number(gid), mode: mode & 0o777 },
    folderMode: parseInt((folder ?? '').split(' ')[0] ?? '', 16) & 0o7777,
  };
}

export function systemSteps(facts: SystemFacts): Step[] {
  if (facts.units.length === 0) return [];
  const step = (id: string, judgement: Judgement, needs: readonly string[] = [], subject = ''): Step => ({
    ...{ id, subject, needs },
    look: () => Promise.resolve(judgement),
  });
  const socketKey = (path: string): string => keyOf({ id: 'system.socket', subject: path });
  return [
    step('system', judgeInstalled(facts)),
    step('system.units', judgeUnits(facts), ['system']),
    step('system.key', judgeKey(facts), ['system']),
    step('system.enabled', judgeEnabled(facts), ['system']),
    step('system.active', judgeActive(facts), ['system', 'system.units', 'system.key']),
    ...facts.sockets.map((socket) => step('system.socket', judgeSocket(socket, facts), ['system.active'], socket.path)),
    ...facts.probes.map(({ user, path, word }) =>
      step('system.mta', judgeMta(user, path, word), [socketKey(path)], `${user} ${path}`),
    ),
  ];
}

const NO_MANAGER = 'systemd does not answer';

/** Pure, as all that follow. */
function judgeInstalled({ units, state, userThere }: SystemFacts): Judgement {
  if (!userThere)
    return failure('config_invalid', `the user ${SYSTEM.user} of the service is not there`, {
      fix: [INSTALL],
      who: 'root',
    });
  if (state !== undefined) return ok(units.map(({ path }) => path).join(', '));
  return warning('units of the host are there, but systemd does not run it', { fix: ['cms serve   # in a terminal'] });
}

function judgeUnits({ stale, eximState }: SystemFacts): Judgement {
  // Without exim its socket is of no use, and is made all the same.
  const counting = stale.filter((each) => eximState !== undefined || each !== 'cms-exim.socket is missing');
  const [first, ...more] = counting;
  if (first === undefined) return ok('as they would be written now');
  const remedy = { fix: [INSTALL], who: 'root' as const, ...(more.length > 0 && { cause: more.join('; ') }) };
  const broken = counting.some((each) => each.includes('is gone') || each === 'cms.service is missing');
  return broken ? failure('config_invalid', first, remedy) : warning(first, remedy);
}

function judgeKey({ keyThere }: SystemFacts): Judgement {
  if (keyThere === undefined) return skipped('a file, which only the service can read');
  if (keyThere) return ok(`sealed, ${SYSTEM.credentialFile}`);
  return failure('store_unavailable', `the sealed vault key ${SYSTEM.credentialFile} is gone`, {
    cause: 'the accounts of the service are sealed with it, and it does not start without',
    fix: [
      'put the file back from a backup of this machine',
      `${INSTALL}   # makes a new one: every account has to sign in again`,
    ],
    who: 'root',
  });
}

function judgeEnabled({ state, eximState }: SystemFacts): Judgement {
  if (state === undefined) return skipped(NO_MANAGER);
  const off = [
    ...(state.enabled ? [] : ['cms.service']),
    ...(eximState === undefined || eximState.enabled ? [] : ['cms-exim.socket']),
  ];
  if (off.length === 0) return ok('it is started at boot');
  return warning(`${off.join(' and ')} will not be started at boot`, {
    fix: [`sudo systemctl enable ${off.join(' ')}`],
  });
}

function judgeActive({ state }: SystemFacts): Judgement {
  if (state === undefined) return skipped(NO_MANAGER);
  if (state.active) return ok(state.statusText || 'active');
  return failure('broker_unavailable', `the service is ${state.state}`, {
    fix: [RESTART_OF_HOST, 'sudo journalctl -u cms -e   # why it does not run'],
  });
}

function judgeSocket({ path, mode, group, there, wanted }: SystemSocket, { eximState }: SystemFacts): Judgement {
  const fix = [path === PRIVATE_SOCKET ? RESTART_OF_HOST : INSTALL, `sudo namei -l ${quoted(path)}`];
  const who = 'root';
  if (there === 'closed') return skipped('its folder is closed to you', { fix: [bySudo('cms doctor')] });
  if (path !== PRIVATE_SOCKET && eximState?.enabled === true && !eximState.active)
    return failure('broker_unavailable', `cms-exim.socket is ${eximState.state}`, { fix: [INSTALL], who });
  if (there === undefined) return failure('broker_unavailable', 'it is not there', { fix, who });
  if (!there.isSocket) return failure('config_invalid', 'it is no socket', { fix, who });
  // systemd makes it for the service; the broker itself makes it as its user.
  if (there.uid !== wanted.uid && there.uid !== 0)
    return failure('config_invalid', `it belongs to uid ${there.uid}, not to ${SYSTEM.user}`, { fix, who });
  if (there.gid !== wanted.gid)
    return failure('config_invalid', `group ${there.gid} in place of ${group} (${wanted.gid})`, { fix, who });
  if (there.mode !== mode)
    return failure('config_invalid', `mode ${octal(there.mode)} in place of ${octal(mode)}`, { fix, who });
  if ((there.folderMode & 0o002) !== 0)
    return failure(
      'config_invalid',
      `everybody may put another socket in its place (folder mode ${octal(there.folderMode)})`,
      { fix: [`sudo chmod o-w ${quoted(dirname(path))}`] },
    );
  return ok(`mode ${octal(mode)}, group ${group}`);
}

const OF_HOST = {
  status: 'cms service run status',
  config: `${SYSTEM.environment.CMS_CONFIG_DIR}/config.toml`,
};

function judgeMta(user: string, path: string, word: string | undefined): Judgement {
  const judged = judgeProbe(user, path, word, OF_HOST);
  return judged.status === 'failure' ? { ...judged, who: 'root' } : judged;
}
