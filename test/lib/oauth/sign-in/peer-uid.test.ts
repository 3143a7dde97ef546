import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type Connection, isForeign, uidOfPeer, uidsIn } from '../../../../src/lib/oauth/sign-in/peer-uid.ts';

const HEAD = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const row = (local: string, remote: string, uid: number): string =>
  `   1: ${local} ${remote} 01 00000000:00000000 02:00000020 00000000  ${uid}        0 25407 2 0 20 4 0 14 -1\n`;

const uidIn = (table: string, connection: Connection): number | undefined => uidsIn(table, [connection])[0];

describe('the user at the other end of a connection over loopback', () => {
  const seen = { remoteAddress: '127.0.0.1', remotePort: 8080, localAddress: '127.0.0.1', localPort: 4711 };

  it('is read from its own row: our own end of it says who we are', () => {
    const ours = row('0100007F:1267', '0100007F:1F90', 1000);
    const theirs = row('0100007F:1F90', '0100007F:1267', 5);
    const others = row('0100007F:1F90', '0100007F:1268', 7) + row('0200007F:1F90', '0100007F:1267', 8);
    assert.equal(uidIn(HEAD + others + ours + theirs, seen), 5);
    assert.equal(uidIn(HEAD + others + ours, seen), undefined);
    assert.equal(uidIn('', seen), undefined);
    assert.equal(uidIn(HEAD + theirs, {}), undefined);
  });

  it('may stand in the table of IPv6, with an address of either family', () => {
    const [near, far] = ['0000000000000000FFFF00000100007F', '00000000000000000000000001000000'];
    assert.equal(uidIn(HEAD + row(`${near}:1F90`, `${near}:1267`, 5), seen), 5);
    const sixth = { ...seen, remoteAddress: '::1', localAddress: '::1' };
    assert.equal(uidIn(HEAD + row(`${far}:1F90`, `${far}:1267`, 6), sixth), 6);
  });

  it('is oneself for a connection of one’s own', async function () {
    if (process.platform !== 'linux') this.skip();
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const [accepted] = (await once(server, 'connection')) as [Socket];
    assert.equal(uidOfPeer(accepted), process.getuid?.());
    client.destroy();
    server.close();
  });

  it('is another person unless it is root, oneself, or whoever called sudo', () => {
    for (const uid of [undefined, 0, 1000, 1001]) assert.equal(isForeign(uid, { SUDO_UID: '1001' }, 1000), false);
    assert.equal(isForeign(5, { SUDO_UID: '1001' }, 1000), true);
    assert.equal(isForeign(1001, {}, 1000), true);
  });
});
