import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ask, askForToken } from '../../../src/lib/broker/client.ts';
import type { CmsError } from '../../../src/lib/core/errors.ts';
import { parseAddress } from '../../../src/lib/accounts/address.ts';
import { temporaryHome } from '../../support/environment.ts';
import { start } from '../../support/processes.ts';

/** Listens, and never takes anybody. */
const STOPPED = `
  require('node:net').createServer().listen({ path: process.argv[1], backlog: 1 }, () => {
    require('node:fs').writeSync(1, 'there');
    process.kill(process.pid, 'SIGSTOP');
  });`;

/** Takes everybody, and says nothing. */
const MUTE = `require('node:net').createServer({ allowHalfOpen: true }, () => {})
  .listen(process.argv[1], () => require('node:fs').writeSync(1, 'there'));`;

/** Takes a request, says what it is told to, and is killed. */
const KILLED = `
  require('node:net').createServer((peer) => peer.once('data', () => {
    require('node:fs').writeSync(peer._handle.fd, process.argv[2]);
    process.kill(process.pid, 'SIGKILL');
  })).listen(process.argv[1], () => require('node:fs').writeSync(1, 'there'));`;

describe('a client of the broker', function () {
  this.timeout(20_000);

  for (const said of ['', '{"access_token":"ya29.a']) {
    it(`says that the broker is gone, where it was killed after ${JSON.stringify(said)}`, async () => {
      await using home = await temporaryHome();
      await mkdir(home.runtimeDir, { mode: 0o700 });
      const path = join(home.runtimeDir, 'cms.sock');
      await using broker = start(process.execPath, ['-e', KILLED, path, said], { env: {} });
      await broker.waitFor(/there/);
      const line = { protocol: 'smtp', address: parseAddress('jane@example.org') } as const;
      await assert.rejects(askForToken(path, line), {
        code: 'broker_unavailable',
        exitStatus: 69,
        message: /^no answer from the broker at \S+: (it closed the connection|ECONNRESET)$/,
      });
    });
  }

  for (const [state, signal, why, command] of [
    ['stopped', 'SIGSTOP', /: it does not answer within 0\.2 s, as process (\d+) is stopped$/, 'kill -CONT'],
    ['mute', undefined, /: it does not answer within 0\.2 s \(process (\d+)\)$/, 'kill'],
  ] as const) {
    it(`gives the signal that helps a broker that is ${state}`, async () => {
      await using home = await temporaryHome();
      await mkdir(home.runtimeDir, { mode: 0o700 });
      const path = join(home.runtimeDir, 'cms.sock');
      const broker = start(process.execPath, ['-e', MUTE, path], { env: {} });
      await broker.waitFor(/there/);
      try {
        if (signal !== undefined) broker.kill(signal);
        await assert.rejects(ask(path, { kind: 'status' }, 200), ({ code, message, suggestions }: CmsError) => {
          assert.equal(code, 'broker_unavailable');
          const [, pid] = why.exec(message) ?? assert.fail(message);
          assert.equal(pid, String(broker.pid));
          assert.equal(suggestions[0]?.replace(/ {3}#.*/, ''), `${command} ${pid}`);
          return true;
        });
      } finally {
        broker.kill('SIGKILL');
        await broker.exited;
      }
    });
  }

  it('does not wait for ever for a broker that is stopped, and whose backlog is full', async () => {
    await using home = await temporaryHome();
    await mkdir(home.runtimeDir, { mode: 0o700 });
    const path = join(home.runtimeDir, 'cms.sock');
    const broker = start(process.execPath, ['-e', STOPPED, path], { env: {} });
    await broker.waitFor(/there/);
    const others = Array.from({ length: 4 }, () => connect({ path }).on('error', () => undefined));
    try {
      await assert.rejects(ask(path, { kind: 'status' }), { code: 'broker_unavailable', message: /EAGAIN/ });
    } finally {
      for (const other of others) other.destroy();
      broker.kill('SIGKILL');
      await broker.exited;
    }
  });
});
