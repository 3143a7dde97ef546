import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AuditTrail, type Asked, keptOf, readAudit } from '../../../../src/lib/broker/server/audit.ts';
import { silentLogger } from '../../../../src/lib/core/log.ts';
import { temporaryHome, type TemporaryHome } from '../../../support/environment.ts';

describe('the audit trail', () => {
  const smtp: Asked = { address: 'jane@example.org', protocol: 'smtp', form: 'xoauth2' };
  const imap: Asked = { ...smtp, protocol: 'imap' };
  const [first, second] = [
    { pid: process.pid, uid: 0, gid: 0 },
    { pid: process.ppid, uid: 0, gid: 0 },
  ];
  let home: TemporaryHome;
  let path: string;
  let logged: unknown[];
  let trail: AuditTrail;

  beforeEach(async () => {
    home = await temporaryHome();
    path = join(home.path, 'audit.jsonl');
    logged = [];
    trail = new AuditTrail(path, { ...silentLogger, debug: (_message, fields) => logged.push(fields) });
  });
  afterEach(() => home.remove());

  const counts = async (): Promise<unknown[]> =>
    (await readAudit(path, 100)).map(({ protocol, pid, socket, count = 1 }) => [protocol, pid, socket, count]);

  it('counts what each process was served on each socket, however they take turns', async () => {
    for (let turn = 0; turn < 3; turn++) {
      trail.served(smtp, '/a', first);
      trail.served(smtp, '/a', second);
      trail.served(smtp, '/b', first);
      trail.served(imap, '/a', first);
      trail.served(imap, '/a', first);
    }
    trail.served(smtp, '/a', undefined);
    await trail.flush();
    assert.deepEqual(await counts(), [
      ['smtp', first.pid, '/a', 3],
      ['smtp', second.pid, '/a', 3],
      ['smtp', first.pid, '/b', 3],
      ['imap', first.pid, '/a', 6],
      ['smtp', undefined, '/a', 1],
    ]);
    assert.equal(logged.length, 5);
  });

  it('names the account and the alias, and counts what one user asks for by ever new names', async () => {
    for (let i = 0; i < 5000; i++) {
      const asked = { ...smtp, address: `x${i}@jane.example` };
      trail.served(asked, '/a', { ...first, pid: 100_000 + i }, 'jane@example.org');
    }
    trail.served({ ...smtp, address: 'sales@example.org' }, '/a', { ...first, uid: 4_294_967_294 }, 'jane@example.org');
    await trail.flush();
    const lines = await readAudit(path, 10_000);
    assert.ok(lines.length < 150, `${lines.length} lines`);
    assert.equal(
      lines.reduce((sum, { count = 1 }) => sum + count, 0),
      5001,
    );
    assert.deepEqual([...new Set(lines.map(({ account }) => account))], ['jane@example.org']);
    assert.equal(lines[0]?.asked, 'x0@jane.example');
    assert.ok(lines.some(({ asked, uid }) => asked === 'sales@example.org' && uid === 4_294_967_294));
  });

  it('says so where a count is of several names', async () => {
    trail.served({ ...smtp, address: 'a@jane.example' }, '/a', first, 'jane@example.org');
    trail.served({ ...smtp, address: 'b@jane.example' }, '/a', first, 'jane@example.org');
    await trail.flush();
    const [line] = await readAudit(path, 10);
    assert.deepEqual([line?.account, line?.asked, line?.count], ['jane@example.org', 'a@jane.example and others', 2]);
  });

  it('keeps what was served, however much is refused', async () => {
    const reason = 'x'.repeat(900);
    trail.served(smtp, '/a', first);
    for (let round = 0; round < 30; round++) {
      // Each under a reason and a socket of its own, so that none of them is only counted.
      for (let i = 0; i < 100; i++) {
        trail.refused({ peer: second, socket: `/${round}/${i}`, result: 'access_denied', reason });
      }
      await trail.flush();
    }
    const lines = await readAudit(path, 100_000);
    assert.equal(lines.filter(({ result }) => result === 'served').length, 1);
    assert.ok(
      lines.some(({ socket }) => socket === '/29/99'),
      'the newest refusal',
    );
    assert.ok(!lines.some(({ socket }) => socket === '/0/0'), 'there were more than have room');
  });

  it('keeps the newest of what has room, in its order', () => {
    const line = (result: string, n: number): string => `{"result":"${result}","n":${n}}\n`;
    const lines = ['served', 'io_error', 'served', 'io_error', 'served', 'io_error', 'io_error'].map(line);
    const bytes = Buffer.byteLength(line('served', 0));
    const numbers = (kept: string[]): number[] => kept.map((text) => (JSON.parse(text) as { n: number }).n);
    assert.deepEqual(numbers(keptOf(lines, 2 * bytes, 10 * bytes)), [2, 4]);
    assert.deepEqual(numbers(keptOf(lines, 5 * bytes, 2 * bytes)), [0, 2, 4, 6]);
    assert.deepEqual(numbers(keptOf(lines, 100 * bytes, 100 * bytes)), [0, 1, 2, 3, 4, 5, 6]);
  });

  it('is empty where there is none yet, and an error where it cannot be read', async () => {
    assert.deepEqual(await readAudit(path, 100), []);
    await mkdir(path);
    await assert.rejects(readAudit(path, 100), { code: 'io_error' });
  });

  it('begins a new line after each that was written', async () => {
    for (let turn = 0; turn < 2; turn++) {
      trail.served(smtp, '/a', first);
      trail.served(smtp, '/a', first);
      await trail.flush();
    }
    const line = ['smtp', first.pid, '/a', 2];
    assert.deepEqual(await counts(), [line, line]);
  });
});
