/**
 * What a report says in addition to the checks: versions, which variables are set, the shape of config.toml, the audit
 * trail.
 */
import { readFile } from 'node:fs/promises';
import { release } from 'node:os';
import { readAudit } from '../../broker/server/audit.ts';
import type { Context } from '../../context.ts';
import { findExim4 } from '../../exim/binary.ts';
import type { Run } from '../../os/process.ts';
import { readFileIfAny } from '../../os/files/files.ts';

export interface Surroundings {
  versions: [what: string, version: string][];
  variables: [name: string, isSet: boolean][];
  /** Lines of config.toml that hold nothing secret. */
  config: string[];
  /** What the last lines of the audit trail say, and how often. */
  audit: [what: string, count: number][];
}

const VARIABLES = [
  ...['XDG_CONFIG_HOME', 'XDG_STATE_HOME', 'XDG_DATA_HOME', 'XDG_RUNTIME_DIR', 'XDG_SESSION_TYPE'],
  ...['CMS_CONFIG_DIR', 'CMS_STATE_DIR', 'CMS_RUNTIME_DIR', 'CMS_SOCKET', 'CMS_STORE', 'CMS_VAULT_KEY_FILE'],
  ...['CREDENTIALS_DIRECTORY', 'DBUS_SESSION_BUS_ADDRESS', 'DISPLAY', 'WAYLAND_DISPLAY', 'SSH_CONNECTION', 'BROWSER'],
  ...['HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy', 'HTTP_PROXY', 'http_proxy', 'NO_PROXY', 'no_proxy'],
  ...['NODE_OPTIONS', 'NODE_EXTRA_CA_CERTS', 'NODE_TLS_REJECT_UNAUTHORIZED', 'SSL_CERT_FILE', 'SUDO_USER', 'LANG'],
];

const AUDIT_LINES = 50;
const VERSION_LIMIT_MS = 3000;

export async function surroundings({ env, paths }: Context, run: Run, version: string): Promise<Surroundings> {
  const first = async (argv: readonly string[]): Promise<string> => firstLine(run, argv);
  const [os, exim, systemd, keyring, toml, audit] = await Promise.all([
    osName(),
    eximVersion(env, first),
    first(['systemctl', '--version']),
    first(['gnome-keyring-daemon', '--version']),
    readFileIfAny(paths.configFile, { links: true }).catch(() => undefined),
    readAudit(paths.auditFile, AUDIT_LINES).catch(() => []),
  ]);
  return {
    versions: [
      ['cms', version],
      ['node', `${process.version} (${process.platform} ${process.arch})`],
      ['OS', os],
      ['kernel', release()],
      ['exim', exim],
      ['systemd', systemd],
      ['gnome-keyring', keyring.replace(/^gnome-keyring-daemon: /, '')],
    ],
    variables: VARIABLES.map((name) => [name, Boolean(env[name])]),
    config: harmlessLines(toml?.toString('utf8') ?? ''),
    audit: counted(audit.map(({ result, protocol, form }) => [result, protocol, form].filter(Boolean).join(', '))),
  };
}

const ABSENT = 'not there';

async function eximVersion(env: Context['env'], first: (argv: readonly string[]) => Promise<string>): Promise<string> {
  try {
    return (await first([findExim4(env), '-bV'])).replace(/ built .*$/, '');
  } catch {
    return ABSENT;
  }
}

async function firstLine(run: Run, argv: readonly string[]): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>(
    (resolve) => (timer = setTimeout(() => resolve('does not answer'), VERSION_LIMIT_MS)),
  );
  const said = run(argv).then(
    ({ stdout }) => stdout.trim().split('\n')[0] ?? ABSENT,
    () => ABSENT,
  );
  return Promise.race([said, late]).finally(() => clearTimeout(timer));
}

async function osName(): Promise<string> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '');
  return /^PRETTY_NAME="?([^"\n]*)/m.exec(text)?.[1] ?? 'unknown';
}

/** Keys whose values say how cms is set up, and nothing about anybody that the mask would not find. */
const HARMLESS = new Set([
  ...['mode', 'protocols', 'passwords', 'path', 'timeout', 'desktop', 'reminder', 'flush_queue'],
  ...['base', 'flow', 'redirect_port', 'issuer', 'token_endpoint', 'host', 'port', 'tls'],
]);

/**
 * The tables and keys of config.toml. Of values only those of keys that hold no secret are shown, as long as they are
 * one line without a comment; the rest is said to be set. Pure.
 */
export function harmlessLines(toml: string): string[] {
  return toml.split('\n').flatMap((line) => {
    const table = /^\s*(\[{1,2}\s*[\w.-]+\s*\]{1,2})\s*(?:#.*)?$/.exec(line)?.[1];
    if (table !== undefined) return [table];
    const [, key = '', value = ''] = /^\s*([\w-]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (key === '') return [];
    const plain = /^(?:"[^"\\#]*"|\[[^#\]]*\]|true|false|\d+|0o[0-7]+)$/.test(value);
    return [`${key} = ${HARMLESS.has(key) && plain ? value : '(set)'}`];
  });
}

function counted(texts: readonly string[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return [...counts].sort(([, a], [, b]) => b - a);
}
