import assert from 'node:assert/strict';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { CMS_PROGRAM, temporaryHome, type TemporaryHome } from './support/environment.ts';
import { type Finished, run } from './support/processes.ts';
import { requires } from './support/requirements.ts';

const SCRIPT = join(dirname(CMS_PROGRAM), 'cms-token');
const JANE = 'jane@example.org';
const TOKEN = 'ya29.a-b_c~d/e+f==';
/** What stands in for `cms` prints the words that it was called with, one a line, and has a status of its own. */
const STAND_IN = '#!/bin/sh\nprintf "cms\\n"; for w do printf "<%s>\\n" "$w"; done; exit 67\n';

for (const shell of ['dash', 'bash'] as const)
  for (const client of ['nc', 'socat', 'neither'] as const) {
    describe(`cms-token in ${shell} with ${client}`, function () {
      requires(this, shell, ...(client === 'neither' ? [] : [client]));
      let home: TemporaryHome;
      let server: Server;
      let requests: string[];
      let answer: string;
      let bin: string;

      beforeEach(async () => {
        home = await temporaryHome();
        bin = join(home.path, 'bin');
        await mkdir(bin);
        await mkdir(home.runtimeDir, { mode: 0o700 });
        await writeFile(join(bin, 'cms'), STAND_IN, { mode: 0o755 });
        await symlink(SCRIPT, join(bin, 'cms-token'));
        for (const tool of ['ls', 'uname', 'sh', ...(client === 'neither' ? [] : [client])])
          await symlink(await pathOf(tool), join(bin, tool));
        [requests, answer] = [[], TOKEN];
        server = createServer((socket) => {
          socket
            .on('error', () => undefined)
            .once('data', (line) => {
              requests.push(line.toString('latin1'));
              socket.end(answer, 'latin1');
            });
        });
        await once(server.listen(join(home.runtimeDir, 'cms.sock')), 'listening');
      });
      afterEach(async () => {
        server.close();
        await home.remove();
      });

      const call = (argv: readonly string[], env: Record<string, string | undefined> = {}): Promise<Finished> =>
        run(shellPath(shell), [join(bin, 'cms-token'), ...argv], { env: { ...home.env, PATH: bin, ...env } });
      const calledCms = (argv: readonly string[]) => ({
        status: 67,
        stdout: ['cms', '<token>', ...argv.map((word) => `<${word}>`), ''].join('\n'),
        stderr: '',
      });
      const plain = ({ status, stdout, stderr }: Finished) => ({ status, stdout, stderr });

      if (client === 'neither') {
        it('leaves it to cms token', async () => {
          assert.deepEqual(plain(await call([JANE])), calledCms([JANE]));
          assert.deepEqual(requests, []);
        });
        return;
      }

      for (const [argv, request] of [
        [[JANE], `SMTP,token,wait=20 ${JANE}\n`],
        [['--protocol', 'imap', JANE], `IMAP,token,wait=20 ${JANE}\n`],
        [[JANE, '-o', 'xoauth2-b64', '--protocol', 'pop'], `POP,xoauth2-b64,wait=20 ${JANE}\n`],
        [['--output', 'oauthbearer', JANE], `SMTP,oauthbearer,wait=20 ${JANE}\n`],
        [[JANE, '-o', 'xoauth2'], `SMTP,wait=20 ${JANE}\n`],
      ] as const) {
        it(`${argv.join(' ')} asks the broker`, async () => {
          answer = (argv as readonly string[]).includes('xoauth2')
            ? `user=${JANE}\x01auth=Bearer ${TOKEN}\x01\x01`
            : TOKEN;
          assert.deepEqual(plain(await call(argv)), { status: 0, stdout: `${answer}\n`, stderr: '' });
          assert.deepEqual(requests, [request]);
        });
      }

      for (const argv of [
        [],
        [JANE, 'bob@example.org'],
        [JANE, '--force-refresh'],
        [JANE, '-o', 'json'],
        [JANE, '-o=token'],
        [JANE, '--protocol'],
        [JANE, '--protocol', 'SMTP'],
        ['--help'],
        ['--', JANE],
        ['', JANE],
        ['a b@example.org'],
        [`${JANE}\nSTATUS`],
        [`x@$(touch hacked)`],
        ['x@`touch hacked`'],
        ["x@';touch hacked;'"],
        ['x@y;touch hacked'],
        ['*@*'],
        ['output:token@x.org'],
      ]) {
        it(`${JSON.stringify(argv)} is left to cms token, word for word`, async () => {
          assert.deepEqual(plain(await call(argv)), calledCms(argv));
          assert.deepEqual(requests, []);
        });
      }

      it('leaves an empty answer to cms token, which says the reason', async () => {
        answer = '';
        assert.deepEqual(plain(await call([JANE, '-o', 'token'])), calledCms([JANE, '-o', 'token']));
        assert.equal(requests.length, 1);
      });

      it('asks no socket in a folder that others can write to, or that is a link', async () => {
        const link = join(home.path, 'link');
        await symlink(home.runtimeDir, link);
        assert.deepEqual(plain(await call([JANE], { CMS_RUNTIME_DIR: link })), calledCms([JANE]));
        await chmod(home.runtimeDir, 0o770);
        assert.deepEqual(plain(await call([JANE])), calledCms([JANE]));
        assert.deepEqual(requests, []);
      });

      it('asks no socket on a way that others can change', async () => {
        const above = join(home.path, 'above');
        const folder = join(above, 'between', 'cms');
        await mkdir(folder, { recursive: true, mode: 0o700 });
        server.close();
        await once(server.listen(join(folder, 'cms.sock')), 'listening');
        const ask = (runtimeDir = folder): Promise<Finished> => call([JANE], { CMS_RUNTIME_DIR: runtimeDir });
        assert.equal((await ask()).status, 0);
        for (const mode of [0o770, 0o702, 0o1777]) {
          await chmod(above, mode);
          // A sticky folder is one that nobody else owns only where it is root's.
          const isRoots = mode === 0o1777 && process.getuid?.() === 0;
          assert.equal((await ask()).status, isRoots ? 0 : 67, mode.toString(8));
        }
        await chmod(above, 0o700);
        assert.equal((await ask()).status, 0);
        await symlink(above, join(home.path, 'link'));
        assert.equal((await ask(join(home.path, 'link', 'between', 'cms'))).status, 67);
        assert.equal((await ask(`${above}/../above/between/cms`)).status, 67);
      });

      it('finds the socket as cms does', async () => {
        const socket = join(home.runtimeDir, 'cms.sock');
        const without = { CMS_RUNTIME_DIR: undefined, CMS_STATE_DIR: undefined };
        const asked = (env: Record<string, string>) => call([JANE], { ...without, ...env });
        const state = join(home.path, 'state', `run-${(await run('uname', ['-n'])).stdout.trim()}`);
        for (const [env, found] of [
          [{ CMS_SOCKET: socket, CMS_RUNTIME_DIR: '/nowhere' }, true],
          [{ CMS_RUNTIME_DIR: home.runtimeDir, XDG_RUNTIME_DIR: '/nowhere' }, true],
          [{ CMS_SOCKET: '', CMS_RUNTIME_DIR: home.runtimeDir }, true],
          [{ CMS_SOCKET: 'cms.sock' }, false],
          [{ XDG_RUNTIME_DIR: '/nowhere', CMS_STATE_DIR: home.stateDir }, false],
        ] as const) {
          const { status } = await asked(env);
          assert.equal(status, found ? 0 : 67, JSON.stringify(env));
        }
        server.close();
        for (const [folder, env] of [
          [join(home.path, 'xdg', 'cms'), { XDG_RUNTIME_DIR: join(home.path, 'xdg') }],
          [state, { CMS_STATE_DIR: dirname(state) }],
        ] as const) {
          await mkdir(folder, { recursive: true, mode: 0o700 });
          server = createServer((peer) => peer.once('data', () => peer.end(TOKEN)));
          await once(server.listen(join(folder, 'cms.sock')), 'listening');
          const { status, stdout } = await asked(env);
          assert.deepEqual([status, stdout], [0, `${TOKEN}\n`], JSON.stringify(env));
          server.close();
        }
      });
    });
  }

function shellPath(shell: string): string {
  return shell === 'dash' ? '/bin/dash' : '/bin/bash';
}

async function pathOf(tool: string): Promise<string> {
  return (await run('sh', ['-c', `command -v ${tool}`])).stdout.trim();
}
