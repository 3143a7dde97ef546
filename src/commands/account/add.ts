import { Args, Flags, type Interfaces } from '@oclif/core';
import { resolve } from 'node:path';
import { type MailServer, type Protocol, PROTOCOLS } from '../../lib/accounts/account.ts';
import { parseAddress } from '../../lib/accounts/address.ts';
import { accountView } from '../../lib/accounts/view.ts';
import { notifyBroker } from '../../lib/broker/client.ts';
import { brokerSocket } from '../../lib/broker/find.ts';
import { openContext } from '../../lib/context.ts';
import { secretIn } from '../../lib/enrol/defaults.ts';
import { enrol, type Enrolled, type EnrolRequest } from '../../lib/enrol/enrol.ts';
import type { LoginReport } from '../../lib/account-test/login.ts';
import { type ClientWishes, endpointsFromFlags } from '../../lib/enrol/plan.ts';
import { CmsError, EXIT_STATUS } from '../../lib/core/errors.ts';
import { withAdminMail } from '../../lib/explain/admin-mail.ts';
import { advice } from '../../lib/explain/advice.ts';
import { fromOclif } from '../../cli/oclif/errors.ts';
import { redact } from '../../lib/core/redact.ts';
import { Secret } from '../../lib/core/secret.ts';
import { tokenWarning } from '../../lib/account-test/account-test.ts';
import { parseGoogleClientFile } from '../../lib/providers/google-client.ts';
import { exitStatusOf } from '../../lib/account-test/verdict.ts';
import { lentFile, requireForBroker } from '../../lib/service/as-system.ts';
import { isAsSystem } from '../../lib/service/system.ts';
import { readNamed } from '../../lib/os/files/named-file.ts';
import { resumable, wordsOf } from '../../cli/prompts/resume.ts';
import { EXIM_OF_SYSTEM, goOn } from '../../cli/prompts/after-sign-in.ts';
import { askAddress, terminalDialogue } from '../../cli/prompts/sign-in-dialogue.ts';
import { BaseCommand } from '../base.ts';
import { given } from '../../lib/core/values.ts';

const port = (description: string) => Flags.integer({ min: 1, max: 65_535, description, helpValue: 'N' });
const tls = (description: string) => Flags.option({ options: ['starttls', 'implicit'] as const, description })();
const url = (description: string) => Flags.string({ helpValue: 'URL', description });

const FLAGS = {
  provider: Flags.string({ helpValue: 'ID', description: 'provider preset; custom for any other server' }),
  issuer: url('OpenID Connect issuer; its endpoints are discovered'),
  'authorization-endpoint': url('for servers without discovery'),
  'token-endpoint': url('for servers without discovery'),
  'device-authorization-endpoint': url('for servers without discovery'),
  'revocation-endpoint': url('for servers without discovery'),
  'client-id': Flags.string({ helpValue: 'ID', description: 'the client that you registered at the provider' }),
  'client-secret-file': Flags.string({
    helpValue: 'FILE',
    description: 'file that holds the client secret, if there is one',
  }),
  'client-file': Flags.string({
    helpValue: 'FILE',
    description: 'client JSON file downloaded from Google',
    exclusive: ['client-id', 'client-secret-file'],
  }),
  tenant: Flags.string({
    helpValue: 'TENANT',
    description: 'Microsoft: tenant id or domain, organizations, consumers or common',
  }),
  scope: Flags.string({ helpValue: '"a b"', description: 'scopes to request instead of those of the preset' }),
  protocol: Flags.option({
    options: PROTOCOLS,
    multiple: true,
    multipleNonGreedy: true,
    description: 'protocols to request access for (default: smtp and imap)',
  })(),
  flow: Flags.option({
    options: ['browser', 'device', 'manual'] as const,
    description: 'how to sign in (default: depends on display, SSH and terminal)',
  })(),
  'no-browser': Flags.boolean({ description: 'print the URL on a line of its own instead of opening it' }),
  register: Flags.boolean({
    description: 'register cms as a client, if the server allows it',
    exclusive: ['client-id', 'client-file', 'client-secret-file'],
  }),
  'ca-file': Flags.string({
    helpValue: 'FILE',
    description: "PEM file of a CA to trust for this account, in addition to the system's",
  }),
  'redirect-port': port('fixed port of the redirect URI, as for ssh -L'),
  'smtp-host': Flags.string({ helpValue: 'HOST', description: 'SMTP server (default: that of the preset)' }),
  'smtp-port': port('port of the SMTP server'),
  'smtp-tls': tls('how TLS begins at the SMTP server'),
  'imap-host': Flags.string({ helpValue: 'HOST', description: 'IMAP server (default: that of the preset)' }),
  'imap-port': port('port of the IMAP server'),
  'imap-tls': tls('how TLS begins at the IMAP server'),
  login: Flags.string({
    helpValue: 'NAME',
    description: 'user who signs in, if not ADDRESS (delegates, shared mailboxes)',
  }),
  'smtp-user': Flags.string({ helpValue: 'NAME', description: 'user name for SMTP, if not ADDRESS' }),
  'imap-user': Flags.string({ helpValue: 'NAME', description: 'user name for IMAP and POP, if not ADDRESS' }),
  alias: Flags.string({
    multiple: true,
    multipleNonGreedy: true,
    helpValue: 'ADDRESS|@DOMAIN',
    description: 'additional sender of this account',
  }),
  'password-file': Flags.string({
    helpValue: 'FILE',
    description: 'file with an app password to use instead of OAuth; it is copied into the vault',
    exclusive: ['client-id', 'client-file', 'client-secret-file', 'issuer', 'flow'],
  }),
  store: Flags.option({
    options: ['keyring', 'file'] as const,
    description: 'where to keep the vault key; asked for the first account',
  })(),
  system: Flags.boolean({
    description: "add the account to the system's broker, as cms service run account add does",
  }),
  'no-test': Flags.boolean({ description: 'skip the login test at the mail servers' }),
  send: Flags.boolean({
    allowNo: true,
    description: 'send a short mail to yourself afterwards (default: ask at a terminal)',
  }),
  exim: Flags.boolean({
    allowNo: true,
    description: 'configure exim to send through the account, as cms exim-config --install --yes does',
  }),
  service: Flags.boolean({
    allowNo: true,
    description: 'start the broker now and at each login, as cms service install --now --yes does',
  }),
  yes: Flags.boolean({ char: 'y', description: 'accept every default; never accepts a sign-in by someone else' }),
  json: BaseCommand.jsonFlag,
};

export default class AccountAdd extends BaseCommand {
  static override readonly summary = 'add an account, or sign in again';
  static override readonly description = `Finds the provider from the address, signs you in once, stores the grant encrypted, and tests it with a real login at the mail server. Run it for an existing account to sign in again; settings without a flag are kept.`;
  static override readonly examples = [
    '<%= config.bin %> account add jane@gmail.com --client-file client_secret.json',
    '<%= config.bin %> account add jane@example.org --provider microsoft --client-id 11111111-2222-3333-4444-555555555555',
    '<%= config.bin %> account add jane@example.org --flow device',
    '<%= config.bin %> account add jane@example.org --issuer https://login.example.org --client-id mail --smtp-host smtp.example.org',
    '<%= config.bin %> account add jane@example.org --password-file app-password --smtp-host smtp.example.org',
    '<%= config.bin %> account add --system jane@example.org',
  ];
  static override readonly usage = 'account add [ADDRESS] [FLAGS]';
  static override readonly args = { address: Args.string({ description: 'mail address, which names the account' }) };
  static override readonly flags = FLAGS;

  async run(): Promise<void> {
    const { args, flags, metadata } = await this.parse(AccountAdd);
    const ofSystem = isAsSystem(process.env);
    if (flags.system || ofSystem) refuseOfRoot(flags);
    if (flags.system && !ofSystem) return this.#runAsSystem();
    const say = (line: string): void => this.say(line);
    const show = (lines: string): void => void process.stderr.write(`${redact(lines)}\n`);
    const dialogue = terminalDialogue({
      env: process.env,
      say: (line) => this.tell(line),
      remark: say,
      show,
      asks: this.mayAsk,
      takesDefaults: flags.yes,
      opensBrowser: !flags['no-browser'],
      tests: !flags['no-test'],
      tells: !flags.json,
      caFile: flags['ca-file'],
    });
    const address = parseAddress(args.address ?? (await this.addressAsked(flags.yes)));
    const context = openContext(process.env, { interactive: this.mayAsk });
    const request = await requestFrom(address, flags);
    if (ofSystem && request.client.caFile !== undefined) await requireForBroker(request.client.caFile);
    const enrolled = await enrol(context, request, dialogue).catch((error: unknown) => {
      const given = Object.entries(flags).filter(([name]) => metadata.flags[name]?.setFromDefault !== true);
      const words = [...(args.address === undefined ? [] : [address]), ...wordsOf(Object.fromEntries(given), address)];
      throw resumable(fromOclif(error, 'account add'), address, words, dialogue.answered(), excludedBy);
    });
    const { account, reports, missing } = enrolled;
    process.exitCode = statusOf(enrolled);
    const warning = tokenWarning(account, enrolled.credential);
    if (warning !== undefined && !flags.json)
      for (const line of [`warning: ${warning.words}`, ...advice(warning, account.address)]) say(line);
    const brokerRuns = await notifyBroker(brokerSocket(context.paths));
    const { send, exim, service } = flags;
    const sent = await goOn(context, enrolled, {
      say: flags.json ? () => undefined : say,
      show: flags.json ? () => undefined : show,
      asks: this.mayAsk && !flags.yes,
      wishes: ofSystem ? { send, exim: false, service: false } : { send, exim, service },
      ofSystem,
      brokerRuns,
      installExim: async (argv) => (await import('../exim-config.ts')).default.run(argv, this.config),
      installService: async (argv) => (await import('../service/install.ts')).default.run(argv, this.config),
    });
    if (flags.json)
      this.printJson({
        ...accountView(account),
        login_test: reports.map(shown),
        ...given('not_granted', names(missing)),
        ...given('sent', sent),
        ...given('warning', warning?.words),
      });
  }

  async #runAsSystem(): Promise<void> {
    const { default: serviceRun } = await import('../service/run.ts');
    await serviceRun.run(['account', 'add', ...this.argv.filter((word) => word !== '--system')], this.config);
  }

  private addressAsked(takesDefaults: boolean): Promise<string> {
    if (this.mayAsk && !takesDefaults) return askAddress();
    throw new CmsError('usage', 'which account? the address is missing', {
      suggestions: ['cms account add jane@example.org'],
    });
  }
}

/** @throws CmsError `usage` for what the user of the system's service may not do */
function refuseOfRoot({ exim, service }: AddFlags): void {
  if (!exim && !service) return;
  throw new CmsError(
    'usage',
    `--${exim ? 'exim' : 'service'} is for root where the account is of the system's broker`,
    {
      suggestions: [exim ? EXIM_OF_SYSTEM : 'cms service install --system --now'],
    },
  );
}

/** Flags that a flag does not go together with; each may have been named by the other one only. */
function excludedBy(flag: string): string[] {
  const relations: readonly [string, { exclusive?: readonly string[] }][] = Object.entries(FLAGS);
  const all = relations.flatMap(([name, { exclusive = [] }]) => exclusive.map((other) => [`--${name}`, `--${other}`]));
  return all.filter((pair) => pair.includes(flag)).flatMap((pair) => pair.filter((each) => each !== flag));
}

type AddFlags = Interfaces.InferredFlags<typeof FLAGS>;

/** As `account test` has it: the account is kept, but whatever was to come after it has to wait. */
function statusOf({ reports, missing }: Enrolled): number {
  const logins = exitStatusOf(reports.map(({ user, explanation }) => ({ ok: user !== undefined, explanation })));
  return logins !== 0 || missing.length === 0 ? logins : EXIT_STATUS.protocol_not_granted;
}

async function requestFrom(address: string, flags: AddFlags): Promise<EnrolRequest> {
  return {
    address,
    providerId: flags.provider,
    issuer: flags.issuer,
    account: {
      ...given('protocols', flags.protocol),
      ...given('login', flags.login),
      ...given('smtpUser', flags['smtp-user']),
      ...given('imapUser', flags['imap-user']),
      ...given('aliases', flags.alias),
      servers: { smtp: serverFrom(flags, 'smtp'), imap: serverFrom(flags, 'imap') },
    },
    client: await clientFrom(flags),
    register: flags.register,
    password: await secretOf(flags, 'password-file'),
    flow: flags.flow,
    noBrowser: flags['no-browser'],
    store: flags.store,
    test: !flags['no-test'],
  };
}

async function secretOf(flags: AddFlags, flag: 'client-secret-file' | 'password-file'): Promise<Secret | undefined> {
  const path = flags[flag];
  return path === undefined ? undefined : secretIn(path, lentFile(process.env, flag, path));
}

async function clientFrom(flags: AddFlags): Promise<ClientWishes> {
  const { 'client-file': clientFile } = flags;
  const file =
    clientFile === undefined
      ? undefined
      : parseGoogleClientFile(await readNamed(lentFile(process.env, 'client-file', clientFile)));
  const secret = await secretOf(flags, 'client-secret-file');
  return {
    ...given('clientId', file?.client_id ?? flags['client-id']),
    ...given('clientSecret', file === undefined ? secret : new Secret(file.client_secret)),
    ...given('tenant', flags.tenant),
    ...given('scope', flags.scope),
    ...given('redirectPort', flags['redirect-port']),
    ...given('caFile', flags['ca-file'] === undefined ? undefined : resolve(flags['ca-file'])),
    endpoints: endpointsFromFlags({
      'authorization-endpoint': flags['authorization-endpoint'],
      'token-endpoint': flags['token-endpoint'],
      'device-authorization-endpoint': flags['device-authorization-endpoint'],
      'revocation-endpoint': flags['revocation-endpoint'],
    }),
  };
}

function serverFrom(flags: AddFlags, protocol: Extract<Protocol, 'smtp' | 'imap'>): Partial<MailServer> {
  return {
    ...given('host', flags[`${protocol}-host`]),
    ...given('port', flags[`${protocol}-port`]),
    ...given('tls', flags[`${protocol}-tls`]),
  };
}

function names(missing: Enrolled['missing']): string[] | undefined {
  return missing.length === 0 ? undefined : missing.map(({ scope }) => scope);
}

function shown({ explanation, ...report }: LoginReport): object {
  return { ...report, ...(explanation && { explanation: withAdminMail(explanation) }) };
}
