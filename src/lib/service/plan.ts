/** What `cms service install` does for one user, as values: units, commands, remarks. Pure. */
import { join } from 'node:path';
import type { Environment, Paths } from '../os/paths.ts';
import { type Program, programRemark, requireLasting } from './program.ts';
import { type Unit, userUnits } from './units.ts';

export interface UnitFile extends Unit {
  path: string;
}

export interface UserPlan {
  files: UnitFile[];
  /** Each is run; the last one only if it is about lingering and may fail. */
  commands: string[][];
  linger: string[] | undefined;
  remarks: string[];
}

export interface UserFacts {
  user: string;
  env: Environment;
  paths: Pick<Paths, 'privateSocket'>;
  program: Program;
  eximSocket: string | undefined;
  /** Where the vault key is kept; undefined before the first account. */
  keySource: string | undefined;
  lingers: boolean;
}

export interface UserWishes {
  now: boolean;
  /** undefined: if exim needs it, or there is no desktop. */
  linger: boolean | undefined;
}

/** Carried into the unit; values that are set for a login shell reach no service otherwise. */
const CARRIED = [
  ...['CMS_CONFIG_DIR', 'CMS_STATE_DIR', 'CMS_RUNTIME_DIR', 'CMS_SOCKET', 'CMS_STORE', 'CMS_VAULT_KEY_FILE'],
  ...['XDG_CONFIG_HOME', 'XDG_STATE_HOME', 'NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE'],
];
const PROXIES = ['http_proxy', 'https_proxy', 'all_proxy', 'no_proxy'].flatMap((name) => [name, name.toUpperCase()]);

export function unitDir(env: Environment, home: string): string {
  const folder = [env.XDG_CONFIG_HOME, join(home, '.config')].find(Boolean) ?? '';
  return join(folder, 'systemd', 'user');
}

/** @throws CmsError `config_invalid` for a program that will not stay, or a value that cannot stand in a unit */
export function planUser(folder: string, facts: UserFacts, wishes: UserWishes): UserPlan {
  requireLasting(facts.program, false);
  const { environment, remarks } = carried(facts.env);
  const units = userUnits({
    program: facts.program,
    environment,
    privateSocket: privateSocket(facts),
    eximSocket: facts.eximSocket,
  });
  const names = units.map(({ name }) => name);
  const alone = facts.eximSocket !== undefined || isHeadless(facts.env);
  const linger = (wishes.linger ?? alone) && !facts.lingers ? ['loginctl', 'enable-linger', facts.user] : undefined;
  return {
    files: units.map((unit) => ({ ...unit, path: join(folder, unit.name) })),
    commands: [
      systemctl('daemon-reload'),
      systemctl('enable', ...names),
      ...(wishes.now ? [systemctl('restart', ...names)] : []),
    ],
    linger,
    remarks: [
      ...remarks,
      ...[programRemark(facts.program), keyringRemark(facts, alone), lingerRemark(facts, wishes, alone)].filter(
        (remark) => remark !== undefined,
      ),
    ],
  };
}

export function systemctl(...words: string[]): string[] {
  return ['systemctl', '--user', ...words];
}

function carried(env: Environment): { environment: Record<string, string>; remarks: string[] } {
  const environment: Record<string, string> = {};
  const remarks: string[] = [];
  for (const name of [...CARRIED, ...PROXIES]) {
    const value = env[name];
    if (value === undefined || value === '') continue;
    if (PROXIES.includes(name) && value.includes('@')) {
      remarks.push(`${name} holds a password, which is not written into a unit: systemctl --user edit cms.service`);
    } else {
      environment[name] = value;
    }
  }
  return { environment, remarks };
}

/** `%t` is where the service manager itself has XDG_RUNTIME_DIR. */
function privateSocket({ env, paths }: UserFacts): string {
  return env.CMS_SOCKET || env.CMS_RUNTIME_DIR ? paths.privateSocket : '%t/cms/cms.sock';
}

export function isHeadless({ DISPLAY, WAYLAND_DISPLAY }: Environment): boolean {
  return !DISPLAY && !WAYLAND_DISPLAY;
}

function keyringRemark({ keySource }: UserFacts, alone: boolean): string | undefined {
  if (keySource !== 'keyring' || !alone) return undefined;
  return 'the vault key is in the keyring, which nothing unlocks before you log in: cms store move file';
}

function lingerRemark({ lingers, user }: UserFacts, wishes: UserWishes, alone: boolean): string | undefined {
  if (lingers || wishes.linger !== false || !alone) return undefined;
  return `it ends when you log out, and mail waits until you are back: loginctl enable-linger ${user}`;
}
