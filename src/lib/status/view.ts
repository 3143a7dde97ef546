/** What `cms status` knows: from the broker, or from the vault where none runs. */
import type { Account } from '../accounts/account.ts';
import { subjectOf } from '../accounts/subject.ts';
import { grantView, stateOfTrouble } from '../accounts/view.ts';
import { ask, parseAnswer } from '../broker/client.ts';
import { brokerSocket } from '../broker/find.ts';
import { type AccountStatus, type BrokerStatus, nextSignIn } from '../broker/server/status.ts';
import type { Context } from '../context.ts';
import type { FrozenMail } from '../exim/queue.ts';
import { CmsError, EXIT_STATUS, toCmsError } from '../core/errors.ts';

/** Its JSON is what scripts read: members are added, never changed. */
export type StatusView = Omit<BrokerStatus, 'broker'> & {
  broker: BrokerStatus['broker'] | null;
  /** What lies frozen in exim's queue, where exim shows it. */
  frozen?: FrozenMail;
};

/** @throws CmsError `broker_unavailable`, `protocol_error`, `config_invalid` */
export async function readStatus(context: Context, now: number): Promise<StatusView> {
  const socket = brokerSocket(context.paths);
  const answer = await ask(socket, { kind: 'status' });
  if (answer === undefined) return fromVault(context, now);
  return parseAnswer(answer, socket) as unknown as BrokerStatus;
}

async function fromVault(context: Context, now: number): Promise<StatusView> {
  const accounts = (await context.accounts.list()).map((account) => accountFromVault(context, account, now));
  const trouble = accounts.length === 0 ? undefined : await troubleOfKey(context);
  return {
    ...{ version: 1, broker: null, sockets: [] },
    accounts: trouble === undefined ? accounts : accounts.map((account) => withoutKey(account, trouble)),
  };
}

/** Without a broker, which would have the key, nothing comes out of the vault unless it can be had now. */
async function troubleOfKey({ vault }: Context): Promise<CmsError | undefined> {
  try {
    await vault.key();
    return undefined;
  } catch (error) {
    return toCmsError(error);
  }
}

/** What else is wrong goes first. */
function withoutKey(account: AccountStatus, trouble: CmsError): AccountStatus {
  return account.state === 'ok' ? { ...account, ...stateOfTrouble(account.address, trouble) } : account;
}

function accountFromVault({ vault }: Context, account: Account, now: number): AccountStatus {
  const { address, kind, provider } = account;
  try {
    const header = vault.readHeader(address);
    return {
      address,
      kind,
      provider,
      ...grantView(address, header, subjectOf(account)),
      ...(header && nextSignIn(account, header, now)),
    };
  } catch (error) {
    if (error instanceof CmsError) return { address, kind, provider, ...stateOfTrouble(address, error) };
    throw error;
  }
}

/** The worst first: what only a person can fix, then the store, then what may pass by itself. */
const GRAVITY = [77, 78, 69, 74, 75];

/** The exit status that stands for the worst state; 69 where all is well but no broker runs. */
export function exitStatusOf({ broker, accounts }: StatusView): number {
  const statuses = new Set<number>(accounts.flatMap(({ code }) => (code === undefined ? [] : [EXIT_STATUS[code]])));
  const worst = GRAVITY.find((status) => statuses.has(status)) ?? [...statuses][0];
  return worst ?? (broker === null ? EXIT_STATUS.broker_unavailable : 0);
}
