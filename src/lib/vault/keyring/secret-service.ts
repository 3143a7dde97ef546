/**
 * Whether the keyring is locked, asked of the Secret Service without unlocking it. The keyring's binding has no call for
 * that, and each call that it has opens a dialog on a locked keyring; so this speaks the three D-Bus messages itself.
 * @see https://dbus.freedesktop.org/doc/dbus-specification.html "Message Protocol", "Authentication Protocol"
 * @see https://specifications.freedesktop.org/secret-service/ "Collection", property Locked
 */
import { connect, type Socket } from 'node:net';
import { encodeCall, type DBusReply, parseMessages } from './dbus-wire.ts';

const SECRETS = 'org.freedesktop.secrets';

/** `unknown`: the bus cannot be spoken to in this way; the binding may still be able to. */
export type CollectionState = 'unlocked' | 'locked' | 'none' | 'unknown';

/**
 * The state of the default collection.
 * @param address as in DBUS_SESSION_BUS_ADDRESS
 * @throws Error with the bus's message when there is no Secret Service
 */
export async function collectionState(address: string, uid: number): Promise<CollectionState> {
  const path = socketPath(address);
  if (path === undefined) return 'unknown';
  const socket = connect({ path });
  try {
    const call = await openBus(socket, uid);
    const alias = await call({
      path: '/org/freedesktop/secrets',
      interface: 'org.freedesktop.Secret.Service',
      member: 'ReadAlias',
      destination: SECRETS,
      body: ['default'],
    });
    const collection = alias.string();
    if (collection === '/') return 'none';
    const locked = await call({
      path: collection,
      interface: 'org.freedesktop.DBus.Properties',
      member: 'Get',
      destination: SECRETS,
      body: ['org.freedesktop.Secret.Collection', 'Locked'],
    });
    return locked.variantBoolean() ? 'locked' : 'unlocked';
  } finally {
    socket.destroy();
  }
}

/** The path of the first `unix:` address that Node can connect to. */
export function socketPath(address: string): string | undefined {
  for (const one of address.split(';')) {
    const [transport, options = ''] = one.split(/:(.*)/s);
    if (transport !== 'unix') continue;
    for (const option of options.split(',')) {
      const [key, value = ''] = option.split(/=(.*)/s);
      if (key === 'path') return decodeURIComponent(value);
      if (key === 'abstract') return `\0${decodeURIComponent(value)}`;
    }
  }
  return undefined;
}

type Call = (message: Omit<Parameters<typeof encodeCall>[0], 'serial'>) => Promise<DBusReply>;

async function openBus(socket: Socket, uid: number): Promise<Call> {
  const chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  socket.write(`\0AUTH EXTERNAL ${Buffer.from(String(uid)).toString('hex')}\r\n`);
  const answer = await next(chunks);
  if (!answer.toString('latin1').startsWith('OK ')) throw new Error('DBus error: the bus refuses this user');
  socket.write('BEGIN\r\n');
  let serial = 0;
  let pending: Buffer = Buffer.alloc(0);
  const call: Call = async (message) => {
    serial += 1;
    socket.write(encodeCall({ ...message, serial }));
    for (;;) {
      const { messages, rest } = parseMessages(pending);
      pending = rest;
      const reply = messages.find((candidate) => candidate.replySerial === serial);
      if (reply?.errorName !== undefined) throw new Error(`DBus error: ${reply.errorName}: ${reply.string()}`);
      if (reply !== undefined) return reply;
      pending = Buffer.concat([pending, await next(chunks)]);
    }
  };
  const bus = 'org.freedesktop.DBus';
  await call({ path: '/org/freedesktop/DBus', interface: bus, member: 'Hello', destination: bus, body: [] });
  return call;
}

async function next(chunks: AsyncIterator<Buffer>): Promise<Buffer> {
  const result = await chunks.next();
  if (result.done === true) throw new Error('DBus error: the bus closed the connection');
  return result.value;
}
