import assert from 'node:assert/strict';
import { reloading, statusLine, takeServiceManager } from '../../../../src/lib/broker/server/service-manager.ts';

const PID = 4711;

describe('the service manager', () => {
  it('is told by one message, and its variables reach no child', () => {
    const env = { NOTIFY_SOCKET: '/run/x', WATCHDOG_USEC: '60000000', WATCHDOG_PID: '4711', HOME: '/root' };
    const sent: [string, string][] = [];
    const manager = takeServiceManager(env, PID, (...message) => sent.push(message));
    manager?.tell('READY=1', 'STATUS=x');
    assert.deepEqual(sent, [['/run/x', 'READY=1\nSTATUS=x']]);
    assert.equal(manager?.signOfLifeMs, 30_000);
    assert.deepEqual(env, { HOME: '/root' });
  });

  it('is not there without a socket of its own', () => {
    for (const env of [{}, { NOTIFY_SOCKET: '' }, { NOTIFY_SOCKET: 'run/x' }, { NOTIFY_SOCKET: '@' }]) {
      assert.equal(takeServiceManager(env, PID), undefined);
    }
  });

  it('does not watch us where it watches another process, or nonsense stands there', () => {
    for (const more of [
      {},
      { WATCHDOG_USEC: '1000', WATCHDOG_PID: '1' },
      { WATCHDOG_USEC: '0' },
      { WATCHDOG_USEC: '-5' },
      { WATCHDOG_USEC: 'soon' },
    ]) {
      assert.equal(takeServiceManager({ NOTIFY_SOCKET: '/x', ...more }, PID)?.signOfLifeMs, undefined);
    }
    assert.equal(takeServiceManager({ NOTIFY_SOCKET: '/x', WATCHDOG_USEC: '3000' }, PID)?.signOfLifeMs, 1.5);
  });

  it('gets the microseconds of a reload', () => {
    assert.deepEqual(reloading(1_234_567_890n), ['RELOADING=1', 'MONOTONIC_USEC=1234567']);
  });

  it('gets counts and no address', () => {
    assert.equal(statusLine([{ state: 'ok' }], 2), 'STATUS=1 account, 2 sockets');
    assert.equal(
      statusLine([{ state: 'unknown' }, { state: 'authorization_required' }], 1),
      'STATUS=2 accounts, 1 socket; 1 need attention, see cms status',
    );
  });
});
