/** How much of the broker one other user can hold. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { faults } from '../support/provider.ts';
import { requires } from '../support/requirements.ts';
import { expire, JANE, Site } from '../reliability/harness.ts';
import { OTHER_USER, startAsOther } from './second-user.ts';

/** What SECURITY.md allows one user, and some more. */
const ALLOWED = 1024;
const TRIED = 1100;

/** Opens connections that ask for what takes its time, and says how many were closed at once. */
const HOLDER = `
  const { connect } = require('node:net');
  const [path, count, request] = process.argv.slice(-3);
  let open = 0, closed = 0;
  const tell = () => open + closed === Number(count) && console.log('open ' + open + ' closed ' + closed + ';');
  const dial = () => {
    const socket = connect(path, () => {
      let counted = false;
      // One that is refused is closed before it is told anything; one that is taken waits for the provider.
      const settle = (kept) => {
        if (counted) return;
        counted = true;
        if (kept) open++; else closed++;
        tell();
      };
      socket.on('close', () => settle(false));
      setTimeout(() => settle(true), 3000);
      socket.write(request + '\\n');
    });
    socket.on('error', (error) => error.code === 'EAGAIN' && setTimeout(dial, 5));
    socket.resume();
  };
  for (let i = 0; i < Number(count); i++) dial();
`;

describe('the connections of one other user', function () {
  this.timeout(60_000);

  it(`are ${ALLOWED} at once and no more, and the owner is served meanwhile`, async function () {
    requires(this, 'sudo');
    await using site = await Site.open();
    await expire(site);
    site.provider.setFault(faults.hang);
    const folder = join(site.home.path, 'shared');
    mkdirSync(folder, { mode: 0o755 });
    chmodSync(site.home.path, 0o755);
    const socket = join(folder, 'mta.sock');
    const argv = ['--socket', socket, '--mode', '0660', '--allow-user', OTHER_USER];
    const broker = await site.serve({ logLevel: 'info', argv });
    await broker.waitFor(/listening socket=\S+mta\.sock/);
    chmodSync(socket, 0o666);
    const asking = [socket, String(TRIED), `SMTP,json,wait=20 ${JANE}`];
    await using holder = startAsOther([process.execPath, '-e', HOLDER, ...asking]);
    const [, open, closed] = await holder.waitFor(/open (\d+) closed (\d+);/, { timeoutMs: 30_000 });
    assert.deepEqual([Number(open), Number(closed)], [ALLOWED, TRIED - ALLOWED], holder.stderr);
    assert.equal((await site.status()).accounts.length, 1);
  });
});
