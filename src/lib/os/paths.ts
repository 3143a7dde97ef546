/** Where things are. Pure: environment in, paths out. */
import { hostname, userInfo } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { CmsError } from '../core/errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Paths {
  /** `accounts.json`, `config.toml`, and `vault.key` on hosts without a keyring. */
  configDir: string;
  accountsFile: string;
  configFile: string;
  keyFile: string;
  /** Sealed files and locks. */
  stateDir: string;
  vaultDir: string;
  lockDir: string;
  /** Who got which token: JSON lines. */
  auditFile: string;
  /** The outages that have been reported. */
  outagesFile: string;
  /** The private socket of the broker. */
  privateSocket: string;
  /** That of a session's broker, where the environment says neither where sockets are nor where the session is. */
  sessionSocket?: string;
  systemConfigFile: string;
}

/** `sun_path` holds 108 bytes with its final NUL; Node 20 cuts a longer path off without an error. */
const MAX_SOCKET_PATH_BYTES = 107;

/**
 * Derives all paths from the environment (XDG base directories, `CMS_*` first).
 * @throws CmsError `config_invalid` for a relative path
 */
export function resolvePaths(env: Environment): Paths {
  const home = folder(env, 'HOME') ?? userInfo().homedir;
  const configDir =
    folder(env, 'CMS_CONFIG_DIR') ?? join(folder(env, 'XDG_CONFIG_HOME') ?? join(home, '.config'), 'cms');
  const stateDir =
    folder(env, 'CMS_STATE_DIR') ?? join(folder(env, 'XDG_STATE_HOME') ?? join(home, '.local', 'state'), 'cms');
  return {
    configDir,
    accountsFile: join(configDir, 'accounts.json'),
    configFile: join(configDir, 'config.toml'),
    keyFile: join(configDir, 'vault.key'),
    stateDir,
    vaultDir: join(stateDir, 'vault'),
    lockDir: join(stateDir, 'lock'),
    auditFile: join(stateDir, 'audit.jsonl'),
    outagesFile: join(stateDir, 'outages.json'),
    privateSocket: privateSocket(env, stateDir),
    ...sessionSocket(env),
    systemConfigFile: '/etc/cms/config.toml',
  };
}

function privateSocket(env: Environment, stateDir: string): string {
  const own = folder(env, 'CMS_SOCKET');
  if (own !== undefined) return own;
  const runtime = folder(env, 'CMS_RUNTIME_DIR');
  if (runtime !== undefined) return join(runtime, 'cms.sock');
  const xdg = folder(env, 'XDG_RUNTIME_DIR');
  if (xdg !== undefined) return join(xdg, 'cms', 'cms.sock');
  // The host's name keeps two machines that share a home directory from taking each other's socket for their own.
  return join(stateDir, `run-${hostname()}`, 'cms.sock');
}

function sessionSocket(env: Environment): Pick<Paths, 'sessionSocket'> {
  const uid = process.getuid?.();
  const told = ['CMS_SOCKET', 'CMS_RUNTIME_DIR', 'XDG_RUNTIME_DIR'].some((name) => folder(env, name) !== undefined);
  return told || uid === undefined ? {} : { sessionSocket: `/run/user/${uid}/cms/cms.sock` };
}

function folder(env: Environment, name: string): string | undefined {
  const value = env[name];
  if (value === undefined || value === '') return undefined;
  if (!isAbsolute(value)) {
    throw new CmsError('config_invalid', `${name} must be an absolute path, not ${value}`, {
      suggestions: [`export ${name}=/absolute/path`],
    });
  }
  return value;
}

/**
 * Refuses a socket path that the kernel's address structure cannot hold.
 * @throws CmsError `config_invalid`
 */
export function checkSocketPath(path: string): string {
  if (!isAbsolute(path)) {
    throw new CmsError('config_invalid', `a socket needs an absolute path, not ${path}`);
  }
  const bytes = Buffer.byteLength(path);
  if (bytes > MAX_SOCKET_PATH_BYTES) {
    throw new CmsError(
      'config_invalid',
      `socket path is too long (${bytes} bytes, at most ${MAX_SOCKET_PATH_BYTES}): ${path}`,
      {
        suggestions: ['choose a shorter one with CMS_SOCKET=/run/user/…/cms.sock, or --socket for a further socket'],
      },
    );
  }
  return path;
}
