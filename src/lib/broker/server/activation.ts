/** Sockets that the service manager bound and handed over (sd_listen_fds(3)). */
import { closeOnExec, listeningPath } from '../../os/libc.ts';
import { type ActivatedSocket, inodeOf } from './listener.ts';

const FIRST_FD = 3;

/** Where the descriptors begin and what they are called; none unless they are meant for this very process. Pure. */
export function listenVariables(env: Readonly<NodeJS.ProcessEnv>, pid: number): { fd: number; name: string }[] {
  const { LISTEN_PID, LISTEN_FDS = '', LISTEN_FDNAMES = '' } = env;
  if (LISTEN_PID !== String(pid) || !/^[1-9]\d{0,3}$/.test(LISTEN_FDS)) return [];
  const names = LISTEN_FDNAMES.split(':');
  return Array.from({ length: Number(LISTEN_FDS) }, (_, i) => ({ fd: FIRST_FD + i, name: names[i] ?? 'unknown' }));
}

/**
 * Takes over the activated sockets, and their variables out of `env`: neither reaches our children.
 * @returns the listening UNIX sockets with a path; other descriptors are left alone
 */
export function takeActivatedSockets(env: NodeJS.ProcessEnv, pid: number): ActivatedSocket[] {
  const passed = listenVariables(env, pid);
  delete env.LISTEN_PID;
  delete env.LISTEN_FDS;
  delete env.LISTEN_FDNAMES;
  return passed.flatMap(({ fd, name }) => {
    closeOnExec(fd);
    const path = listeningPath(fd);
    return path === undefined ? [] : [{ fd, name, path, inode: inodeOf(path) }];
  });
}
