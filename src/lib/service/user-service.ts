/** The facts that the plan for one user is made of, and what is in place of it. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { AccountStore } from '../accounts/store.ts';
import { ask, parseAnswer } from '../broker/client.ts';
import { CmsError } from '../core/errors.ts';
import { readInstalled } from '../exim/install/installed.ts';
import { type Environment, resolvePaths } from '../os/paths.ts';
import { quoted } from '../core/shell-word.ts';
import { makeFolders, readFileIfAny, removeFile, writeFileDurable } from '../os/files/files.ts';
import { planUser, unitDir, type UnitFile, type UserPlan, type UserWishes } from './plan.ts';
import type { Program } from './program.ts';
import { SYSTEM } from './system.ts';
import { lingers } from './systemd.ts';
import { isOurs } from './unit-file.ts';

const UNIT_NAMES = ['cms.service', 'cms.socket', 'cms-exim.socket'] as const;

export interface Owner {
  user: string;
  env: Environment;
  program: Program;
}

export function userUnitDir(env: Environment): string {
  return unitDir(env, env.HOME ?? homedir());
}

/** @throws CmsError `config_invalid` for a program that will not stay; as `AccountStore.read` */
export async function readUserPlan({ user, env, program }: Owner, wishes: UserWishes): Promise<UserPlan> {
  const paths = resolvePaths(env);
  const { vault_key: key } = await new AccountStore(paths).read();
  return planUser(
    userUnitDir(env),
    {
      ...{ user, env, paths, program },
      eximSocket: (await readInstalled(paths))?.socket,
      keySource: key?.source,
      lingers: lingers(user),
    },
    wishes,
  );
}

/** Refuses to replace a unit that cms has not written. @throws CmsError `cannot_create` */
export async function requireReplaceable(files: readonly UnitFile[]): Promise<void> {
  for (const { path } of files) {
    const text = await readUnit(path);
    if (text === undefined || isOurs(text)) continue;
    throw new CmsError('cannot_create', `${path} is there and is not of cms service install`, {
      suggestions: [`mv ${quoted(path)} ${quoted(`${path}.old`)}   # then: cms service install`],
    });
  }
}

/** @returns the paths that changed */
export async function writeUnits(files: readonly UnitFile[]): Promise<string[]> {
  const changed: string[] = [];
  for (const { path, text } of files) {
    if ((await readUnit(path)) === text) continue;
    await makeFolders(dirname(path), 0o755);
    // Nothing in it is secret, and systemd complains of a unit that others cannot read.
    await writeFileDurable(path, text, 0o644);
    changed.push(path);
  }
  return changed;
}

export interface InstalledUnit {
  name: (typeof UNIT_NAMES)[number];
  path: string;
  text: string;
  ours: boolean;
}

export async function installedUnits(folder: string): Promise<InstalledUnit[]> {
  const found = await Promise.all(
    UNIT_NAMES.map(async (name) => {
      const path = join(folder, name);
      const text = await readUnit(path);
      return text === undefined ? [] : [{ name, path, text, ours: isOurs(text) }];
    }),
  );
  return found.flat();
}

async function readUnit(path: string): Promise<string | undefined> {
  return (await readFileIfAny(path))?.toString('utf8');
}

export async function removeUnits(units: readonly InstalledUnit[]): Promise<void> {
  await Promise.all(units.map(({ path }) => removeFile(path)));
}

/** What differs from what would be installed now, in words. Pure but for a look at the program's paths. */
export function staleness(
  units: readonly InstalledUnit[],
  wanted: readonly { name: string; text: string }[],
): string[] {
  const texts = new Map(units.map(({ name, text }) => [name as string, text]));
  const gone = units.flatMap(({ text }) => programPaths(text)).filter((path) => !existsSync(path));
  return [
    ...gone.map((path) => `the unit starts ${path}, which is gone`),
    ...wanted.flatMap(({ name, text }) => {
      const there = texts.get(name);
      if (there === undefined) return [`${name} is missing`];
      return there === text ? [] : [`${name} is not what would be written now`];
    }),
  ];
}

/** Of the program that a unit starts. */
export function programPaths(unit: string): string[] {
  const line = /^ExecStart=(.*) serve$/m.exec(unit)?.[1] ?? '';
  const words = line.match(/"(?:[^"\\]|\\.)*"|\S+/g) ?? [];
  return words.map((word) => word.replace(/^"|"$/g, '').replaceAll('%%', '%').replaceAll('$$', '$'));
}

/**
 * Refuses to start the service while a broker runs that was started by hand: systemd would take its socket away.
 * @throws CmsError `cannot_create`
 */
export async function requireNoOther(socket: string, servicePid: number | undefined): Promise<void> {
  const answer = await ask(socket, { kind: 'status' }).catch(() => undefined);
  if (answer === undefined) return;
  const { broker } = parseAnswer(answer, socket) as { broker?: { pid?: unknown } };
  const pid = broker?.pid;
  if (typeof pid !== 'number' || pid === servicePid) return;
  throw new CmsError('cannot_create', `a broker runs already, and not as this service (pid ${pid})`, {
    suggestions: [`kill ${pid}   # then: cms service install --now`],
  });
}

/** @throws CmsError `usage` for root, who has no accounts */
export function refuseRoot(uid: number | undefined, env: Environment, command: string): void {
  if (uid !== 0) return;
  const who = env.SUDO_USER;
  throw new CmsError('usage', `the service of a user is not root's`, {
    suggestions: [
      who === undefined ? `cms ${command}   # as that user` : `cms ${command}   # as ${who}, without sudo`,
      `cms ${command} --system   # the service of the system, with the user ${SYSTEM.user}`,
    ],
  });
}
