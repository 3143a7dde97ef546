/** The socket file, while it is made: the calls of the maker are held up, so that there is time to look. */
import assert from 'node:assert/strict';
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { temporaryHome } from '../../../support/environment.ts';
import { start } from '../../../support/processes.ts';
import { requires } from '../../../support/requirements.ts';

const SOURCE = fileURLToPath(new URL('../../../../src/lib/broker/server/listener.ts', import.meta.url));
/** Before each step after bind(): long against one look. */
const STEPS = [
  'chmod',
  'fchmod',
  'fchmodat',
  'chown',
  'fchown',
  'fchownat',
  'rename',
  'renameat',
  'renameat2',
  'listen',
];
const HELD_UP = `inject=${STEPS.map((call) => `?${call}`).join(',')}`;
const HELD_UP_MICROSECONDS = 200_000;

describe('a socket file that is being made', () => {
  it('is open to its owner alone until it has the rights that it is to have, whatever the umask', async function () {
    requires(this, 'strace');
    await using home = await temporaryHome();
    const path = join(home.home, 'cms.sock');
    const policy = { path, mode: 0o640, passwords: false, private: false };
    const program = `
      const { lstatSync } = await import('node:fs');
      process.umask(0);
      const { listenOn } = await import(${JSON.stringify(SOURCE)});
      console.log('begin');
      await listenOn(${JSON.stringify(policy)}, { accept: (socket) => socket.destroy() });
      console.log('listening', (lstatSync(${JSON.stringify(path)}).mode & 0o777).toString(8));
      process.exit();`;
    const strace = ['-f', '--seccomp-bpf', '-o', '/dev/null', '-e', `${HELD_UP}:delay_enter=${HELD_UP_MICROSECONDS}`];
    const argv = [...strace, process.execPath, '--import', 'tsx', '--input-type=module', '-e', program];
    await using maker = start('strace', argv, { env: { ...home.env, TSX_DISABLE_CACHE: '1' } });
    await maker.waitFor(/begin/, { timeoutMs: 20_000 });
    const seen = new Map<string, Set<string>>();
    while (!maker.stdout.includes('listening') && maker.running) {
      for (const [name, mode] of socketsBelow(home.home)) {
        const kind = name === 'cms.sock' ? 'named' : 'hidden';
        seen.set(kind, (seen.get(kind) ?? new Set()).add(mode));
      }
      await sleep(1);
    }
    await maker.waitFor(/listening 640/);
    await maker.exited;
    assert.ok(seen.size > 0, 'nothing was seen of it');
    const open = [...seen].flatMap(([, modes]) => [...modes].filter((mode) => mode !== '600' && mode !== '640'));
    assert.deepEqual(open, []);
  });
});

/** Name and mode of each socket in the folder and in those below it. */
function socketsBelow(folder: string): [string, string][] {
  try {
    return readdirSync(folder, { withFileTypes: true, recursive: true }).flatMap((entry): [string, string][] => {
      if (!entry.isSocket()) return [];
      const stat = lstatSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false });
      return stat === undefined ? [] : [[entry.name, (stat.mode & 0o777).toString(8)]];
    });
  } catch {
    // A folder was taken away while it was read.
    return [];
  }
}
