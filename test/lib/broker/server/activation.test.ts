import assert from 'node:assert/strict';
import { listenVariables, takeActivatedSockets } from '../../../../src/lib/broker/server/activation.ts';

const PID = 4711;

describe('the variables of socket activation', () => {
  it('name descriptors from 3 on', () => {
    assert.deepEqual(listenVariables({ LISTEN_PID: '4711', LISTEN_FDS: '2', LISTEN_FDNAMES: 'private:exim' }, PID), [
      { fd: 3, name: 'private' },
      { fd: 4, name: 'exim' },
    ]);
    assert.deepEqual(listenVariables({ LISTEN_PID: '4711', LISTEN_FDS: '1' }, PID), [{ fd: 3, name: '' }]);
  });

  for (const env of [
    {},
    { LISTEN_FDS: '1' },
    { LISTEN_PID: '4712', LISTEN_FDS: '1' },
    { LISTEN_PID: '04711', LISTEN_FDS: '1' },
    { LISTEN_PID: ' 4711', LISTEN_FDS: '1' },
    { LISTEN_PID: '4711' },
    ...['0', '-1', '1x', '', '99999', '1.5'].map((count) => ({ LISTEN_PID: '4711', LISTEN_FDS: count })),
  ]) {
    it(`are not for us: ${JSON.stringify(env)}`, () => {
      assert.deepEqual(listenVariables(env, PID), []);
    });
  }

  it('are taken out of the environment, whomever they were for', () => {
    const env = { LISTEN_PID: '1', LISTEN_FDS: '1', LISTEN_FDNAMES: 'x', HOME: '/root' };
    assert.deepEqual(takeActivatedSockets(env, PID), []);
    assert.deepEqual(env, { HOME: '/root' });
  });
});
