import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AuditTrail, type Asked, readAudit } from '../../../src/lib/broker/audit.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { temporaryHome, type TemporaryHome } from '../../support/environment.ts';

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
