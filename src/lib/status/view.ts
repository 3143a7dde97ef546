/** What `cms status` knows: from the broker, or from the vault where none runs. */
import type { Account } from '../accounts/account.ts';
import { subjectOf } from '../accounts/subject.ts';
import { grantView, stateOfTrouble } from '../accounts/view.ts';
import { ask, parseAnswer } from '../broker/client.ts';
import { type AccountStatus, type BrokerStatus, nextSignIn } from '../broker/status.ts';
import type { Context } from '../context.ts';
import { CmsError, EXIT_STATUS } from '../errors.ts';

/** Its JSON is what scripts read: members are added, never changed. */
export type StatusView = Omit<BrokerStatus, 'broker'> & { broker: BrokerStatus['broker'] | null };

/** @throws CmsError `broker_unavailable`, `protocol_error`, `config_invalid` */
export async function readStatus(context: Context, now: number): Promise<StatusView> {
  const answer = await ask(context.paths.privateSocket, { kind: 'status' });
  if (answer === undefined) return fromVault(context, now);
  return parseAnswer(answer, context.paths.privateSocket) as unknown as BrokerStatus;
}

async function fromVault(context: Context, now: number): Promise<StatusView> {
  const accounts = (await context.accounts.list()).map((account) => accountFromVault(context, account, now));
  return { version: 1, broker: null, sockets: [], accounts };
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

/** The worst first: what only a person can mend, then the store, then what may pass by itself. */
const GRAVITY = [77, 78, 69, 74, 75];

/** The exit status that stands for the worst state; 69 where all is well but no broker runs. */
export function exitStatusOf({ broker, accounts }: StatusView): number {
  const statuses = new Set<number>(accounts.flatMap(({ code }) => (code === undefined ? [] : [EXIT_STATUS[code]])));
  const worst = GRAVITY.find((status) => statuses.has(status)) ?? [...statuses][0];
  return worst ?? (broker === null ? EXIT_STATUS.broker_unavailable : 0);
}
