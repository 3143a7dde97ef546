import assert from 'node:assert/strict';
import { encodeCall, parseMessages } from '../../../../src/lib/vault/keyring/dbus-wire.ts';
import { socketPath } from '../../../../src/lib/vault/keyring/secret-service.ts';

/** A method return of a big-endian service: reply to serial 7, one boolean, true, in a variant. */
const BIG_ENDIAN_REPLY = Buffer.from(
  '42020001 00000008 00000001 0000000f 05017500 00000007 08016700 01760000 01620000 00000001'.replaceAll(' ', ''),
  'hex',
);

describe('the D-Bus wire', () => {
  it('begins a call with its lengths, and its body on a multiple of eight', () => {
    const bytes = encodeCall({
      serial: 9,
      path: '/a',
      interface: 'b.c',
      member: 'D',
      destination: 'e.f',
      body: ['xyz'],
    });
    assert.deepEqual([...bytes.subarray(0, 4)], [0x6c, 1, 0, 1]);
    assert.equal(bytes.readUInt32LE(4), 8);
    assert.equal(bytes.readUInt32LE(8), 9);
    assert.equal(bytes.length % 8, 0);
    assert.deepEqual(bytes.subarray(-8), Buffer.from('\x03\0\0\0xyz\0'));
  });

  it('reads an answer of either byte order, and waits for the rest of one', () => {
    for (let cut = 0; cut < BIG_ENDIAN_REPLY.length; cut += 1) {
      const { messages, rest } = parseMessages(BIG_ENDIAN_REPLY.subarray(0, cut));
      assert.deepEqual([messages.length, rest.length], [0, cut]);
    }
    const { messages, rest } = parseMessages(Buffer.concat([BIG_ENDIAN_REPLY, Buffer.from('B')]));
    assert.equal(rest.toString(), 'B');
    assert.equal(messages[0]?.replySerial, 7);
    assert.equal(messages[0].errorName, undefined);
    assert.equal(messages[0].variantBoolean(), true);
  });

  it('takes the first address that is a UNIX socket', () => {
    assert.equal(socketPath('unix:path=/run/user/1/bus,guid=abc'), '/run/user/1/bus');
    assert.equal(socketPath('tcp:host=x,port=1;unix:guid=1,path=/a%20b'), '/a b');
    assert.equal(socketPath('unix:abstract=/tmp/dbus-x'), '\0/tmp/dbus-x');
    assert.equal(socketPath('autolaunch:'), undefined);
    assert.equal(socketPath(''), undefined);
  });
});
