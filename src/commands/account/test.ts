import { Args, Flags } from '@oclif/core';
import { randomUUID } from 'node:crypto';
import { type Account, type MailServer, type Protocol, PROTOCOLS } from '../../lib/accounts/account.ts';
import { parseAddress } from '../../lib/accounts/address.ts';
import { subjectOf } from '../../lib/accounts/subject.ts';
import { brokerSocket } from '../../lib/broker/find.ts';
import { type Context, openContext } from '../../lib/context.ts';
import type { Credential } from '../../lib/account-test/login.ts';
import { type AdminMail, CmsError, toCmsError } from '../../lib/core/errors.ts';
import { adminMail, withAdminMail } from '../../lib/explain/admin-mail.ts';
import { advice } from '../../lib/explain/advice.ts';
import { type Explanation, explain } from '../../lib/explain/explain.ts';
import { explainReason } from '../../lib/explain/grant.ts';
import {
  type ProtocolTest,
  protocolsToTest,
  testAccount,
  type TestStep,
  tokenWarning,
  usernameAt,
} from '../../lib/account-test/account-test.ts';
import { isBearerToken, MAX_TOKEN_BYTES } from '../../lib/core/bearer.ts';
import type { Secret } from '../../lib/core/secret.ts';
import { renderAdminMail } from '../../cli/report-failure.ts';
import { tellBroker, tokenWasRefused } from '../../lib/account-test/tell-broker.ts';
import { exitStatusOf } from '../../lib/account-test/verdict.ts';
import { requireProtocol } from '../../lib/tokens/failures.ts';
import { obtainPassword, obtainToken } from '../../cli/fast/token.ts';
import { BaseCommand } from '../base.ts';
import { quoted } from '../../lib/core/shell-word.ts';

export default class AccountTest extends BaseCommand {
  static override readonly summary = 'log in at the mail servers of an account, and explain refusals';
  static override readonly description =
    'Gets a token as cms token does, connects to each server and logs in. Explains a refusal: what it means, who can fix it, and with which command. Exit status: 0 success, 77 refused, 78 wrong configuration, 75 temporary failure; otherwise that of cms token.';
  static override readonly examples = [
    '<%= config.bin %> account test jane@example.org',
    '<%= config.bin %> account test jane@example.org --send',
    '<%= config.bin %> account test jane@example.org --protocol smtp --admin-mail',
    '<%= config.bin %> account test jane@example.org --json',
  ];
  static override readonly args = {
    address: Args.string({ required: true, description: 'the account or one of its aliases' }),
  };
  static override readonly flags = {
    protocol: Flags.option({
      options: PROTOCOLS,
      multiple: true,
      multipleNonGreedy: true,
      description: 'protocol to test (default: all of the account)',
    })(),
    send: Flags.boolean({ description: 'send a short mail to the account itself' }),
    'admin-mail': Flags.boolean({
      description:
        'print a mail to the administrator on stdout, if the administrator has to act; the rest goes to stderr',
      exclusive: ['json'],
    }),
    json: BaseCommand.jsonFlag,
  };

  #silent = false;
  #aside = false;

  async run(): Promise<void> {
    const { args, flags } = await this.parse(AccountTest);
    this.#silent = flags.json;
    this.#aside = flags['admin-mail'];
    const context = openContext(process.env);
    const account = await context.accounts.resolve(parseAddress(args.address));
    const protocols = protocolsToTest(account, flags.protocol);
    if (flags.send && !protocols.includes('smtp')) throw sendsNothing(account.address);
    const credential = await this.#credential(context, account, protocols);
    if (credential === undefined) return;
    const warning = tokenWarning(account, credential);
    if (warning !== undefined) this.#tell([`warning: ${warning.words}`, ...advice(warning, account.address)]);
    const messageId = flags.send ? `${randomUUID()}@${account.address.split('@')[1] ?? ''}` : undefined;
    const tests = await testAccount(account, {
      credential,
      protocols,
      username: usernameAt(context.vault, account),
      messageId,
      now: Date.now,
      begun: (protocol, server) => this.#tell([heading(protocol, server)]),
      step: (step) => this.#tell([stepLine(step)]),
    });
    this.#conclude(account, tests, messageId, warning);
    if (tokenWasRefused(account, tests) && (await tellBroker(brokerSocket(context.paths), account.address)))
      this.#tell(['', 'the broker was told, and asks for a new token; what comes of it: cms status']);
  }

  /** Undefined after it was told why there is none. */
  async #credential(
    context: Context,
    account: Account,
    protocols: readonly Protocol[],
  ): Promise<Credential | undefined> {
    const [protocol = 'smtp'] = protocols;
    const { address } = account;
    try {
      if (account.kind === 'password') return { password: await obtainPassword({ address, protocol }, context.env) };
      for (const each of protocols) requireProtocol(account, each);
      const asked = obtainToken({ address, protocol, forceRefresh: false }, context.env);
      const { access_token } = await asked.catch((error: unknown) => tooLongToken(context, address, error));
      const record = await context.vault.read(address).catch(() => undefined);
      return { accessToken: access_token, granted: record?.secrets.scope };
    } catch (error) {
      const failure = toCmsError(error);
      const explanation = await explainNoToken(context, account, failure);
      if (this.#silent) {
        this.printJson({ address, ok: false, protocols: [], ...failure.toJSON(), ...given(explanation) });
        process.exitCode = failure.exitStatus;
        return undefined;
      }
      if (this.#aside) this.#printMails([explanation]);
      throw failure;
    }
  }

  #conclude(
    account: Account,
    tests: readonly ProtocolTest[],
    messageId: string | undefined,
    warning: Explanation | undefined,
  ): void {
    const { address } = account;
    process.exitCode = exitStatusOf(tests);
    const sent = tests.some(({ steps }) => steps.some(({ step, ok }) => step === 'send' && ok));
    if (this.#silent) {
      const protocols = tests.map(({ explanation, ...test }) => ({ ...test, ...given(explanation) }));
      const ok = tests.every((test) => test.ok);
      const message = sent ? { sent: { to: address, message_id: messageId } } : {};
      this.printJson({ address, ok, protocols, ...message, ...(warning && { warning: warning.words }) });
      return;
    }
    for (const { protocol, explanation } of tests) {
      if (explanation !== undefined)
        this.#tell(['', `${protocol}:`, ...advice(explanation, address).map((line) => `  ${line}`)]);
    }
    if (this.#aside) this.#printMails(tests.map(({ explanation }) => explanation));
  }

  /** What happens, as it happens: the result, unless a mail is. */
  #tell(lines: readonly string[]): void {
    if (this.#silent) return;
    for (const line of lines) {
      if (this.#aside) this.say(line);
      else this.print(line);
    }
  }

  #printMails(explanations: readonly (Explanation | undefined)[]): void {
    const mails = new Map(
      explanations.flatMap((each): [string, AdminMail][] => {
        const mail = each && adminMail(each);
        return mail === undefined ? [] : [[mail.subject, mail]];
      }),
    );
    if (mails.size === 0) this.say('cms: nothing of this is for an administrator');
    process.stdout.write([...mails.values()].map(renderAdminMail).join('\n'));
  }
}

function heading(protocol: Protocol, { host, port, tls }: MailServer): string {
  return `${protocol} ${host}:${port} (${tls})`;
}

function stepLine({ step, ok, ms, detail }: TestStep): string {
  return `  ${step.padEnd(9)}${ok ? 'ok      ' : 'failed  '}${detail} (${ms} ms)`;
}

function given(explanation: Explanation | undefined): object {
  return explanation === undefined ? {} : { explanation: withAdminMail(explanation) };
}

/** A token that is served to no one for its length alone: what mail servers make of it is worth a trial. */
async function tooLongToken({ vault }: Context, address: string, error: unknown): Promise<{ access_token: Secret }> {
  if (!(error instanceof CmsError) || error.code !== 'protocol_error') throw error;
  const record = await vault.read(address).catch(() => undefined);
  const token = record?.secrets.access_token;
  if (token === undefined || !isBearerToken(token.reveal()) || token.reveal().length <= MAX_TOKEN_BYTES) throw error;
  return { access_token: token };
}

/** Why there is no token: what the provider said, or what is wrong with the token itself. */
async function explainNoToken(
  { vault }: Context,
  account: Account,
  failure: CmsError,
): Promise<Explanation | undefined> {
  if (failure.code === 'protocol_error')
    return explain({ ...subjectOf(account), source: 'token', text: failure.message });
  if (failure.code !== 'authorization_required') return undefined;
  const header = vault.readHeader(account.address);
  return header && explainReason(header, subjectOf(account));
}

function sendsNothing(address: string): CmsError {
  return new CmsError('usage', 'a mail is sent over SMTP, which is not among the protocols', {
    suggestions: [`cms account test ${quoted(address)} --protocol smtp --send`],
  });
}
