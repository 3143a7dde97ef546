/** `systemctl` and `loginctl` that only write down what they are told, and say that all is well. */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const recorder = (log: string, pid: string): string => `#!/bin/sh
echo "\${0##*/} $*" >>${log}
case "$*" in
  *"show --property=Version"*) echo 252;;
  *--version*) echo "systemd 252 (252.1)";;
  *"show cms.service"*) printf 'ActiveState=active\\nUnitFileState=enabled\\nMainPID=%s\\nStatusText=1 account\\n' "$(cat ${pid})";;
  *enable-linger*) echo "Could not enable linger: Access denied" >&2; exit 1;;
esac
`;

export interface RecordingSystemctl {
  /** For the front of `PATH`. */
  tools: string;
  /** What stands in it is the pid of the service. */
  pidFile: string;
  /** Where the calls are written down. */
  log: string;
  told: () => string[];
}

/** Below `folder`, which whoever calls them must be able to write to. */
export function recordingSystemctl(folder: string): RecordingSystemctl {
  const [tools, log, pidFile] = [join(folder, 'tools'), join(folder, 'told'), join(folder, 'pid')];
  mkdirSync(tools, { mode: 0o755 });
  writeFileSync(pidFile, '0');
  for (const name of ['systemctl', 'loginctl']) {
    writeFileSync(join(tools, name), recorder(log, pidFile));
    chmodSync(join(tools, name), 0o755);
  }
  const told = (): string[] => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []);
  return { tools, pidFile, log, told };
}
