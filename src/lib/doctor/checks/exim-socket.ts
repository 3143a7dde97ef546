/** Why exim gets no answer at its socket, as doctor has it, for those who found it out on another way. */
import type { Run } from '../../os/process.ts';
import type { Caller } from '../../os/owner.ts';
import { brokerSocket } from '../../broker/find.ts';
import { resolvePaths } from '../../os/paths.ts';
import type { Program } from '../../service/program.ts';
import { readSettings } from '../../config/settings.ts';
import { askBroker, judgeBroker, judgeSocket, socketFacts } from './broker.ts';
import { becomeOwner, examinerOf } from '../caller.ts';
import { brokerLook } from '../doctor.ts';
import { failure, type Judgement } from '../check.ts';
import { serviceFacts } from './service.ts';

export interface SocketLook {
  caller: Caller;
  run: Run;
  program: Program;
  version: string;
}

/**
 * The last thing that a process does: root by sudo is the user who called it afterwards, as whom the broker is asked.
 * @throws CmsError `config_invalid` for a config.toml that cannot be read
 */
export async function judgeEximSocket(path: string, look: SocketLook): Promise<Judgement> {
  const examiner = await examinerOf(look.caller, look.run, look.program.node);
  becomeOwner(examiner);
  const { name: user, env } = examiner;
  const paths = resolvePaths(env);
  const [answer, settings] = await Promise.all([askBroker(brokerSocket(paths)), readSettings(paths)]);
  const brokerPid = answer !== undefined && 'status' in answer ? answer.status.broker.pid : undefined;
  const facts = await serviceFacts({ ...look, ...examiner, user, brokerPid });
  const known = brokerLook({ ...look, ...examiner, context: { paths } }, answer, settings.sockets, undefined, facts);
  const broker = { ...known, reliedOnBy: ['exim'] };
  const judged = judgeBroker(broker);
  if (judged.status === 'failure' || brokerPid === undefined) return judged;
  const socket = settings.sockets.find((each) => each.path === path);
  if (socket === undefined)
    return failure('config_invalid', 'it is not among the sockets of config.toml', {
      fix: ['cms exim-config --install'],
    });
  return judgeSocket(broker, socket, await socketFacts(socket));
}
