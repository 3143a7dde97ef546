/** Whether the users of a socket can really open it: tried as them, where that is possible. */
import { CmsError } from '../../core/errors.ts';
import type { Run } from '../../os/process.ts';
import { MTA_USER } from '../../exim/probe/as-mta.ts';
import type { SocketSettings } from '../../config/settings.ts';
import { quoted } from '../../core/shell-word.ts';
import { failure, type Judgement, keyOf, ok, skipped } from '../check.ts';
import type { Step } from '../run-checks.ts';

/** More users of one socket say nothing new. */
const USERS_OF_A_SOCKET = 4;

/** Connects, and sees whether it is sent away at once; asks for nothing. Says one word. */
const PROBE = `
const socket = require('node:net').connect(process.argv[1]);
const say = (word) => { process.stdout.write(word); process.exit(0); };
socket.on('error', (error) => say(error.code));
socket.on('end', () => say('CLOSED'));
socket.on('connect', () => { socket.resume(); setTimeout(say, 400, 'OPEN'); });
setTimeout(say, 4000, 'SILENT');
`;

export interface MtaLook {
  run: Run;
  uid: number | undefined;
  /** Path of node. */
  node: string;
}

/** What came of a connection to `path` as `user`; undefined if `doctor` could not become that user. */
export type Probe = (path: string, user: string) => Promise<string | undefined>;

/** One step for each user of each socket that is for other users. */
export async function mtaSteps(run: Run, probe: Probe, sockets: readonly SocketSettings[]): Promise<Step[]> {
  return (await pairsOf(run, sockets)).map(({ path, user }) => ({
    id: 'mta',
    subject: `${user} ${path}`,
    needs: [keyOf({ id: 'socket', subject: path })],
    look: async () => judgeProbe(user, path, await probe(path, user)),
  }));
}

/** Tries them all now, for a caller who is root and will not be for long. */
export async function probedAlready(look: MtaLook, sockets: readonly SocketSettings[]): Promise<Probe> {
  const pairs = await pairsOf(look.run, sockets);
  const probe = probeAs(look);
  const words = await Promise.all(
    pairs.map(async ({ path, user }) => [`${user} ${path}`, await probe(path, user)] as const),
  );
  const known = new Map(words);
  return (path, user) => Promise.resolve(known.get(`${user} ${path}`));
}

async function pairsOf(run: Run, sockets: readonly SocketSettings[]): Promise<{ path: string; user: string }[]> {
  const all = sockets.map(async (socket) => (await usersOf(run, socket)).map((user) => ({ path: socket.path, user })));
  return (await Promise.all(all)).flat();
}

/** The users that are named, and who is in the group. */
export async function usersOf(run: Run, { users = [], group }: SocketSettings): Promise<string[]> {
  if (group === undefined) return users.slice(0, USERS_OF_A_SOCKET);
  const { stdout } = await run(['getent', 'group', group]);
  const members = (stdout.trim().split(':')[3] ?? '').split(',').filter((name) => name !== '');
  // Debian calls a system user's own group after the user.
  const { status } = await run(['getent', 'passwd', group]);
  const all = [...(status === 0 ? [group] : []), ...members, ...users];
  return [...new Set(all)].slice(0, USERS_OF_A_SOCKET);
}

export function probeAs({ run, uid, node }: MtaLook): Probe {
  return async (path, user) => {
    const group = user === MTA_USER ? MTA_USER : (await run(['id', '-gn', user])).stdout.trim();
    const prefix =
      uid === 0
        ? ['setpriv', `--reuid=${user}`, `--regid=${group}`, '--init-groups', '--']
        : ['sudo', '-n', '-u', user, '--'];
    try {
      const { status, stdout } = await run([...prefix, node, '-e', PROBE, path]);
      return status === 0 ? stdout : undefined;
    } catch (error) {
      if (error instanceof CmsError) return undefined;
      throw error;
    }
  };
}

const OWN = { status: 'cms status', config: 'config.toml' };

/**
 * @param word what the probe said; undefined if `doctor` could not become that user
 * @param broker how its status is seen, and where its sockets are configured
 */
export function judgeProbe(user: string, path: string, word: string | undefined, broker = OWN): Judgement {
  const again = `sudo -u ${user} socat -u OPEN:/dev/null UNIX-CONNECT:${quoted(path)} && echo open`;
  if (word === undefined) return skipped(`not tried as ${user}, which takes root`, { fix: [again], who: 'root' });
  if (word === 'OPEN') return ok('opened it');
  if (word === 'CLOSED' || word === 'ECONNRESET') {
    return failure('access_denied', `${user} reaches the broker, which sends it away`, {
      cause: 'it is not among the users of this socket',
      fix: [`${broker.status}   # who may use each socket; users = [...] in the [[socket]] of ${broker.config}`],
    });
  }
  return failure('access_denied', `${user} cannot open it: ${word}`, {
    cause:
      word === 'EACCES'
        ? 'the mode or group of the socket, or of a folder above it, keeps it out'
        : 'no process listens on it',
    fix: [`namei -l ${quoted(path)}   # every folder above must let ${user} in`, again],
  });
}
