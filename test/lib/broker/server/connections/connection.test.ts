/** One connection, byte by byte: where a request ends, and how long it may be. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Broker, Peer } from '../../../../../src/lib/broker/server/broker.ts';
import { Connection } from '../../../../../src/lib/broker/server/connections/connection.ts';
import { MAX_REQUEST_BYTES } from '../../../../../src/lib/broker/wire.ts';
import { temporaryHome, type TemporaryHome } from '../../../../support/environment.ts';
import { talk } from '../../../../support/wire.ts';

const PEER: Peer = {
  policy: { path: '/x', mode: 0o600, passwords: false, private: true },
  credentials: undefined,
};

describe('a connection', () => {
  let home: TemporaryHome;
  let server: Server;
  let path: string;
  let lines: string[];
  let refused: number;

  beforeEach(async () => {
    home = await temporaryHome();
    path = join(home.home, 'socket');
    lines = [];
    refused = 0;
    const broker = {
      answer: (line: string) => {
        lines.push(line);
        return line === 'wait' ? sleep(100, '<late>') : `<${line.length}>`;
      },
      waitSeconds: () => 4,
      refuseRequest: () => refused++,
    } as unknown as Broker;
    const events = { complete: () => undefined, closed: () => undefined };
    server = createServer({ allowHalfOpen: true }, (socket) => new Connection(socket, broker, PEER, events));
    await new Promise<void>((resolve) => server.listen(path, resolve));
  });
  afterEach(async () => {
    await new Promise((resolve) => server.close(resolve));
    await home.remove();
  });

  for (const [what, end] of [
    ['LF', '\n'],
    ['CRLF', '\r\n'],
    ['the end of what is sent', ''],
  ] as const) {
    it(`takes a line that ends with ${what}, without its end`, async () => {
      assert.equal(await talk(path, `SMTP a@b.c${end}`), '<10>');
      assert.deepEqual(lines, ['SMTP a@b.c']);
    });
  }

  it(`takes ${MAX_REQUEST_BYTES} bytes with the end of the line, and not one more`, async () => {
    const longest = 'x'.repeat(MAX_REQUEST_BYTES - 1);
    assert.equal(await talk(path, `${longest}\n`), `<${longest.length}>`);
    assert.deepEqual([lines.length, refused], [1, 0]);
    await talk(path, `${longest}x\n`);
    assert.deepEqual([lines.length, refused], [1, 1]);
    await talk(path, `${longest}x`, { halfClose: false });
    assert.deepEqual([lines.length, refused], [1, 2]);
  });

  it('takes no second line while the first one is being answered', async () => {
    assert.equal(await talk(path, ['wait\n', 'SMTP x@y.z\n', 'STATUS\n']), '<late>');
    assert.deepEqual(lines, ['wait']);
  });

  it('takes a line in pieces, and only the first line', async () => {
    assert.equal(await talk(path, ['SMTP', ' a@b', '.c\r', '\nSMTP x@y.z\n', 'STATUS\n']), '<10>');
    assert.deepEqual(lines, ['SMTP a@b.c']);
  });
});
