/** The quick way to serve a connection beside the slow one, which is the reference: the same bytes, the same outcome. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setImmediate as breathe, setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import type { Account } from '../../../../../src/lib/accounts/account.ts';
import type { Answer, Asker, Broker, Served } from '../../../../../src/lib/broker/server/broker.ts';
import { Acceptor } from '../../../../../src/lib/broker/server/connections/acceptor.ts';
import { type Listener, listenOn } from '../../../../../src/lib/broker/server/listener.ts';
import type { SocketPolicy } from '../../../../../src/lib/broker/server/policy.ts';
import { MAX_REQUEST_BYTES, type TokenLine } from '../../../../../src/lib/broker/wire.ts';
import { silentLogger } from '../../../../../src/lib/core/log.ts';
import { temporaryHome, type TemporaryHome } from '../../../../support/environment.ts';
import { talk } from '../../../../support/wire.ts';

const OWN_UID = process.getuid?.() ?? 0;

describe('a request that is there already', () => {
  let home: TemporaryHome;
  let ways: { quick: Way; slow: Way };

  before(async () => {
    home = await temporaryHome();
    ways = { quick: await open('quick', true), slow: await open('slow', false) };
  });
  after(async () => {
    for (const { listener } of Object.values(ways)) await listener.close();
    await home.remove();
  });

  async function open(name: string, atOnce: boolean): Promise<Way> {
    const policy: SocketPolicy = { path: join(home.home, name), mode: 0o600, passwords: false, private: true };
    const broker = new RecordingBroker();
    const acceptor = new Acceptor(broker as unknown as Broker, OWN_UID, silentLogger);
    const listener = await listenOn(policy, {
      accept: (socket) => {
        broker.streams++;
        acceptor.accept(socket, policy);
      },
      ...(atOnce && { take: (client, listening) => acceptor.take(client, listening, policy) }),
    });
    return { path: policy.path, broker, acceptor, listener };
  }

  it('is answered as it would be through a stream, whatever it is and however it comes', async () => {
    const text = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.constantFrom('SMTP a@b.c', 'wait', 'served', 'nothing', 'noted', 'big', '', 'STATUS', 'ä€'),
      },
      fc.string({ maxLength: 20 }),
      fc.integer({ min: MAX_REQUEST_BYTES - 3, max: MAX_REQUEST_BYTES + 3 }).map((length) => 'x'.repeat(length)),
      fc.integer({ min: 1, max: 3 }).map((times) => 'y'.repeat(times * 9000)),
    );
    const end = fc.constantFrom('', '\n', '\r\n', '\r', '\n\n', '\nSMTP x@y.z\n');
    const piece = fc.tuple(text, end).map((both) => both.join(''));
    // Nothing after the piece that ends the line: its connection may be closed by then.
    const pieces = fc.array(piece, { minLength: 1, maxLength: 4 }).map((all) => {
      const last = all.findIndex((each) => each.includes('\n'));
      return last < 0 ? all : all.slice(0, last + 1);
    });
    await fc.assert(
      fc.asyncProperty(pieces, async (sent) => {
        const outcomes = [];
        for (const { path, broker, acceptor } of Object.values(ways)) {
          broker.clear();
          // A request that is refused is cut off; its client sees that while it writes, or later.
          const answer = (await talk(path, sent)).replace(/^E[A-Z]+$/, '');
          await acceptor.drained();
          outcomes.push({ answer, ...broker.record });
        }
        assert.deepEqual(outcomes[0], outcomes[1]);
      }),
      { numRuns: 300 },
    );
    assert.equal(ways.quick.broker.streams, 0);
    assert.ok(ways.slow.broker.streams >= 300);
  });

  it('is read whole before its connection is closed, so that its client is not cut off', async () => {
    for (const extra of [1, 600, 40_000, 200_000]) {
      for (const { path } of Object.values(ways)) {
        assert.equal(await talk(path, `served\n${'z'.repeat(extra)}`, { halfClose: false }), SERVED_TEXT);
      }
    }
  });

  it('leaves no descriptor behind, and no connection that is counted', async () => {
    const { path, acceptor } = ways.quick;
    await talk(path, 'served\n');
    const before = descriptors();
    for (let round = 0; round < 20; round++) {
      await Promise.all(['served\n', 'wait\n', 'x', '', 'y'.repeat(2000)].map((request) => talk(path, request)));
      const gone = connect(path);
      gone.on('error', () => undefined);
      gone.write('served\n');
      gone.destroy();
    }
    await acceptor.drained();
    while (descriptors() > before) await sleep(5);
  });

  it('keeps timers and other connections waiting for no longer than a moment, however many there are', async () => {
    const { path, broker } = ways.quick;
    broker.clear();
    const asked = Array.from({ length: 400 }, () => talk(path, 'served\n'));
    let turns = 0;
    while (broker.record.sent < 400) {
      await breathe();
      turns++;
    }
    assert.ok(turns > 1, String(turns));
    assert.deepEqual(new Set(await Promise.all(asked)), new Set([SERVED_TEXT]));
  });
});

interface Way {
  path: string;
  broker: RecordingBroker;
  acceptor: Acceptor;
  listener: Listener;
}

const SERVED_TEXT = 'the token '.repeat(300);

function served(text: string): Served {
  return { text, line: {} as TokenLine, account: {} as Account };
}

/** Answers each kind of line in its own way, and notes what it is asked and told. */
class RecordingBroker {
  streams = 0;
  record = { lines: [] as string[], refused: 0, sent: 0, unsent: 0, abandoned: 0 };

  clear(): void {
    this.record = { lines: [], refused: 0, sent: 0, unsent: 0, abandoned: 0 };
  }

  answer(line: string, asker: Asker): Answer | Promise<Answer> {
    this.record.lines.push(line);
    assert.ok(asker.waits);
    if (line === 'wait') return sleep(5).then(() => (asker.waits ? served('late') : ''));
    if (line === 'served') return served(SERVED_TEXT);
    // More than the buffer of a socket takes.
    if (line === 'big') return served('b'.repeat(1_000_000));
    if (line === 'noted') return served('');
    return line === 'nothing' ? '' : `<${line}>`;
  }

  waitSeconds(): number {
    return 4;
  }

  refuseRequest(): void {
    this.record.refused++;
  }

  sent(): void {
    this.record.sent++;
  }

  unsent(): void {
    this.record.unsent++;
  }

  abandoned(): void {
    this.record.abandoned++;
  }
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}
