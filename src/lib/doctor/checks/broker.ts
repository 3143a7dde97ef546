/** The broker and its sockets: whether it runs, which version, and whether the sockets are as they are wanted. */
import { lstat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ask, parseAnswer } from '../../broker/client.ts';
import { resolvePolicy } from '../../broker/server/names.ts';
import type { BrokerStatus } from '../../broker/server/status.ts';
import { type CmsError, systemErrorCode, toCmsError } from '../../core/errors.ts';
import type { SocketSettings } from '../../config/settings.ts';
import { quoted } from '../../core/shell-word.ts';
import { because, counted, failed, failure, isBroken, type Judgement, ok, warning } from '../check.ts';
import { octal } from './files.ts';
import type { Step } from '../run-checks.ts';

/** What answered at the private socket: a broker, nothing, or something that should not be there. */
export type BrokerAnswer = { status: BrokerStatus } | { error: CmsError } | undefined;

const STATUS_LIMIT_MS = 5000;

export async function askBroker(privateSocket: string): Promise<BrokerAnswer> {
  try {
    const answer = await ask(privateSocket, { kind: 'status' }, STATUS_LIMIT_MS);
    if (answer === undefined) return undefined;
    return { status: parseAnswer(answer, privateSocket) as unknown as BrokerStatus };
  } catch (error) {
    return { error: toCmsError(error) };
  }
}

export interface BrokerLook {
  answer: BrokerAnswer;
  version: string;
  privateSocket: string;
  sockets: readonly SocketSettings[];
  /** How it is started, restarted and reloaded on this machine. */
  start: string;
  restart: string;
  reload: string;
  /** Who cannot do without it: exim, a socket, a service; empty where `cms token` does the work. */
  reliedOnBy: readonly string[];
  uid: number | undefined;
}

/**
 * @param config key of the check of config.toml
 * @param above keys of the checks of folders in which the private socket lies
 */
export function brokerSteps(look: BrokerLook, config: string, above: readonly string[]): Step[] {
  const { privateSocket, sockets, answer } = look;
  const wanted: SocketSettings[] = [{ path: privateSocket, mode: 0o600, passwords: true }, ...sockets];
  const steps: Step[] = [
    {
      id: 'broker',
      subject: '',
      needs: above,
      after: [config],
      look: (result) => {
        const settings = result(config);
        // It would not start with them; one that runs goes on with those that it has read.
        return Promise.resolve(answer === undefined && isBroken(settings) ? because(settings) : judgeBroker(look));
      },
    },
  ];
  if (answer === undefined && look.reliedOnBy.length === 0) return steps;
  return [
    ...steps,
    {
      id: 'broker.grants',
      subject: '',
      needs: ['broker'],
      look: () => Promise.resolve(judgeGrants(answer)),
    },
    ...wanted.map((socket): Step => ({
      id: 'socket',
      subject: socket.path,
      needs: ['broker', config],
      look: async () => {
        // A user or group that is gone costs the socket.
        await resolvePolicy(socket);
        return judgeSocket(look, socket, await socketFacts(socket));
      },
    })),
  ];
}

/** Pure. */
export function judgeBroker({ answer, version, privateSocket, start, restart, reliedOnBy }: BrokerLook): Judgement {
  if (answer === undefined) {
    const summary = `not running: nothing answers at ${privateSocket}`;
    if (reliedOnBy.length === 0)
      return warning(summary, {
        cause: 'cms token does the work itself; exim and other programs need it',
        fix: [start],
      });
    return failure('broker_unavailable', summary, { cause: `needed by ${reliedOnBy.join(', ')}`, fix: [start] });
  }
  if ('error' in answer) return failed(answer.error);
  const { pid, cms } = answer.status.broker;
  if (cms !== version)
    return warning(`pid ${pid} is cms ${cms}, this is ${version}`, {
      cause: 'it goes on with what it was started with',
      fix: [restart],
    });
  return ok(`pid ${pid}, cms ${cms}`);
}

/** Grants that are in its memory only are lost when it ends. Pure. */
function judgeGrants(answer: BrokerAnswer): Judgement {
  const accounts = answer !== undefined && 'status' in answer ? answer.status.accounts : [];
  const worst = GRAVEST.flatMap((wanted) => accounts.filter(({ state }) => state === wanted)).find(
    // The client is judged by the account's own checks.
    ({ code }) => code !== 'client_invalid',
  );
  if (worst === undefined) return ok(`${counted(accounts.length, 'account') || 'no account'}, nothing unsaved`);
  const { address, state, code = 'io_error', reason = state, remedy } = worst;
  const fix = remedy === undefined ? [] : [remedy];
  const summary = `${address}: ${reason}`;
  return code === 'temporarily_unavailable' ? warning(summary, { fix }) : failure(code, summary, { fix });
}

/** What the broker knows and the vault does not say: no new token can be stored, or comes at all. */
const GRAVEST = ['degraded', 'unreadable', 'locked', 'failing'] as const;

export interface SocketFacts {
  isSocket: boolean;
  uid: number;
  gid: number;
  mode: number;
  /** The group that it should have. */
  wantedGid: number | undefined;
  /** Permission bits of its folder. */
  folderMode: number;
}

export async function socketFacts(socket: SocketSettings): Promise<SocketFacts | undefined> {
  const { gid: wantedGid } = await resolvePolicy({ path: socket.path, mode: 0, passwords: false, ...groupOf(socket) });
  try {
    const [stat, folder] = await Promise.all([lstat(socket.path), lstat(dirname(socket.path))]);
    const { uid, gid, mode } = stat;
    return { isSocket: stat.isSocket(), uid, gid, mode: mode & 0o777, wantedGid, folderMode: folder.mode & 0o7777 };
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemErrorCode(error) ?? '')) return undefined;
    throw error;
  }
}

function groupOf({ group }: SocketSettings): { group?: string } {
  return group === undefined ? {} : { group };
}

/** Pure. */
export function judgeSocket(
  { answer, restart, reload, uid }: BrokerLook,
  { path, mode, group }: SocketSettings,
  facts: SocketFacts | undefined,
): Judgement {
  const status = answer !== undefined && 'status' in answer ? answer.status.sockets : [];
  const served = status.find((each) => each.path === path);
  if (served?.error !== undefined) {
    // The broker tries again by itself, but does not remove what is in its way.
    const { error, suggestions = [] } = served;
    const fix = suggestions.length > 0 ? suggestions : [restart];
    return failure('cannot_create', `the broker could not open it: ${error}`, { fix });
  }
  if (served === undefined)
    return failure('config_invalid', 'the broker does not know it', {
      cause: 'config.toml has changed since it was read',
      fix: [reload],
    });
  if (facts === undefined) return failure('broker_unavailable', 'it is not there', { fix: [restart] });
  const fix = [restart, `ls -l ${quoted(path)}`];
  if (!facts.isSocket) return failure('config_invalid', 'it is no socket', { fix: [`ls -l ${quoted(path)}`] });
  if (uid !== undefined && facts.uid !== uid && facts.uid !== 0)
    return failure('config_invalid', `it belongs to uid ${facts.uid}`, { fix });
  if (facts.mode !== mode)
    return failure('config_invalid', `mode ${octal(facts.mode)} in place of ${octal(mode)}`, { fix });
  if (facts.wantedGid !== undefined && facts.gid !== facts.wantedGid)
    return failure('config_invalid', `group ${facts.gid} in place of ${group ?? ''} (${facts.wantedGid})`, { fix });
  if ((facts.folderMode & 0o002) !== 0)
    return failure(
      'config_invalid',
      `everybody may put another socket in its place (folder mode ${octal(facts.folderMode)})`,
      {
        fix: [`chmod o-w ${quoted(dirname(path))}`],
      },
    );
  return ok(`mode ${octal(facts.mode)}${group === undefined ? '' : `, group ${group}`}`);
}
