/** What exim itself says about a configuration: whether it is one, and which way the mail of each sender takes. */
import type { MailServer } from '../../accounts/account.ts';
import { CmsError, messageOf } from '../../core/errors.ts';
import { commonMechanisms, noCommonMechanism, PASSWORD_MECHANISMS, TOKEN_MECHANISMS } from '../../core/mechanisms.ts';
import { bySudo } from '../../os/sudo.ts';
import { expand } from '../binary.ts';
import type { Run } from '../../os/process.ts';
import { lineFields, requestExpansion } from '../render/line-fields.ts';
import { isPlainPath, SYSTEM_TRUST } from '../render/options.ts';
import { type Entry, entryFor, fieldsOf, findBlock } from '../smart-hosts/smart-hosts-file.ts';
import { renderSmartHost, type SmartHost } from '../smart-hosts/smart-hosts.ts';

export interface CheckedSender {
  sender: string;
  /** Key of the line used, or undefined when none fits. */
  line: string | undefined;
  host: string | undefined;
  account: string | undefined;
  ok: boolean;
  /** The transport, or why exim would not deliver now. */
  detail: string;
}

export interface Exim {
  run: Run;
  /** Path of the binary. */
  binary: string;
  /** The configuration to use in place of the installed one. */
  configFile: string;
  /** Which mechanisms a server offers; undefined where it does not say. Without it no server is asked. */
  offers?: (server: MailServer) => Promise<readonly string[] | undefined>;
}

/** Undefined when `exim4 -bV` takes the configuration, else what it says. */
export async function judgeConfig({ run, binary, configFile }: Exim): Promise<string | undefined> {
  const { status, stdout, stderr } = await run([binary, '-C', configFile, '-bV']);
  if (status === 0) return undefined;
  const said = `${stderr}\n${stdout}`.split('\n').filter((line) => /config|exim4?\.conf|unknown|error/i.test(line));
  return said.join('\n').trim() || `exim4 -bV ends with ${status}`;
}

/** Whether a configuration, or a part of it, asks a broker without naming the server, as those of older versions do. */
export function namesNoServer(config: string): boolean {
  return /\{SMTP(?!,host=)/.test(config);
}

/** What that means; one clause. */
export const NAMES_NO_SERVER =
  'an older cms wrote it: it asks the broker without naming the mail server, so a line with a wrong server gets the token all the same';

/**
 * Which certificates the configuration that is installed trusts: a path, or `system`. Undefined where it is not ours,
 * in Debian's split configuration as well as in exim4.conf.
 * @param find as `findExim4`
 */
export async function certificatesInForce(run: Run, find: () => string): Promise<string | undefined> {
  try {
    const { stdout } = await run([find(), '-bP', 'transport', 'cms_smtp']);
    const value = /^tls_verify_certificates = (\S+)$/m.exec(stdout)?.[1];
    return value === undefined || value === SYSTEM_TRUST || isPlainPath(value) ? value : undefined;
  } catch (error) {
    if (error instanceof CmsError) return undefined;
    throw error;
  }
}

/** The senders to try: every address and one address of every domain, `<>` for the `*` line. */
export function sendersOf(lines: readonly SmartHost[]): string[] {
  return lines.map(({ key }) => {
    if (key === '*') return '';
    return key.includes('@') ? key : `postmaster@${key}`;
  });
}

/** Routes a mail from `sender` as `exim4 -bt` does; without a login, and nothing is sent. */
export async function checkSender(exim: Exim, entries: readonly Entry[], sender: string): Promise<CheckedSender> {
  const entry = entryFor(entries, sender);
  const fields = entry === undefined ? new Map<string, string>() : fieldsOf(entry);
  let route = await routeOf(exim, sender);
  if (route.ok) route = (await mechanismTrouble(exim, fields)) ?? route;
  if (route.detail === HIDDEN_REASON)
    route.detail = (await brokerReason(exim, fields)) ?? `${HIDDEN_REASON}: ${bySudo('cms exim-config --check')}`;
  return {
    sender: `<${sender}>`,
    line: entry?.key,
    host: fields.get('host')?.replace('::', ':'),
    account: fields.get('account') ?? fields.get('user'),
    ...route,
  };
}

/** A server that exim would not log in at, whatever it is given. */
async function mechanismTrouble({ offers }: Exim, fields: ReadonlyMap<string, string>) {
  const { host, port, tls, auth } = lineFields(fields);
  const offered = host === '' ? undefined : await offers?.({ host, port: Number(port), tls });
  const spoken = auth === 'password' ? PASSWORD_MECHANISMS : TOKEN_MECHANISMS;
  if (offered === undefined || commonMechanisms(offered, spoken).length > 0) return undefined;
  return { ok: false, detail: noCommonMechanism(offered, spoken) };
}

async function routeOf({ run, binary, configFile }: Exim, sender: string): Promise<{ ok: boolean; detail: string }> {
  const recipient = sender === '' ? 'postmaster@example.org' : sender;
  try {
    const answer = await run([binary, '-C', configFile, '-f', sender === '' ? '<>' : sender, '-bt', recipient]);
    return parseRoute(answer.stdout, answer.stderr);
  } catch (error) {
    return { ok: false, detail: messageOf(error) };
  }
}

/** The transport that `exim4 -bt` found, or its reason. */
export function parseRoute(stdout: string, stderr = ''): { ok: boolean; detail: string } {
  const transport = /router = \S+, transport = (\S+)/.exec(stdout)?.[1];
  if (transport !== undefined) return { ok: true, detail: transport };
  const said = `${stdout}\n${stderr}`.split('\n').find((line) => line.trim() !== '') ?? 'exim says nothing';
  const reason = /(?:cannot be resolved at this time|is undeliverable)(?::\s*(.*))?/.exec(said);
  return { ok: false, detail: reason === null ? said.trim() : (reason[1] ?? HIDDEN_REASON) };
}

// exim tells a caller without privileges that it waits, not why.
const HIDDEN_REASON = 'not now; exim tells root the reason';

/**
 * The keys of lines that exim does not have as they would be written.
 * @param file the installed one; where it is closed to us, `noted` says whether all of them are as they were installed
 */
export function notInstalled(
  { user, lines }: { user: string; lines: readonly SmartHost[] },
  { text, closed }: { text: string; closed: boolean },
  noted: boolean,
): Set<string> {
  const block = closed ? '' : (findBlock(text, user) ?? '');
  const there = new Set(block.split('\n'));
  const has = (line: SmartHost): boolean => (closed ? noted : there.has(renderSmartHost(line)));
  return new Set(lines.filter((line) => !has(line)).map(({ key }) => key));
}

/** Whether nothing answered at a socket: exim's words, or those of our router. */
export function isSocketTrouble(detail: string): boolean {
  return /the broker is not running|^failed to connect to socket/.test(detail);
}

/** What the broker says about the account of a line, asked by exim with the caller's own permissions. */
async function brokerReason({ run, binary, configFile }: Exim, fields: ReadonlyMap<string, string>) {
  const line = lineFields(fields);
  const asked = line.socket === '' ? undefined : requestExpansion(line, true);
  if (asked === undefined) return undefined;
  const { stdout } = await expand(run, [binary, '-C', configFile], asked);
  const said = stdout.trim().replace(/^Failed: /, '');
  return said === '' ? undefined : said;
}
