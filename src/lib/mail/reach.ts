/** The way to a mail server, step by step, as far as it goes without a name: address, connection, TLS. */
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { connect as connectPlain, isIP, isIPv6, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { MailServer, Protocol } from '../accounts/account.ts';
import { errorFailure, LOGIN_TIMEOUT_MS, type LoginFailure, LoginRefusal } from './login.ts';
import { Lines } from './lines.ts';

export type ReachStep = 'resolve' | 'connect' | 'tls';

export interface ReachOptions {
  protocol: Protocol;
  server: MailServer;
  /** As in LoginOptions. */
  ca?: string | string[];
  /** For each step, in milliseconds; default 15000. */
  timeoutMs?: number;
  /** Called after each step that worked. */
  done: (step: ReachStep, detail: string) => void;
}

/**
 * Goes there on a connection of its own, and leaves. Certificates are verified, nothing secret is sent.
 * @returns the step that failed, or undefined
 * @see RFC 8314, RFC 3207, RFC 9051 section 6.2.1, RFC 2595 section 4
 */
export async function reach(options: ReachOptions): Promise<{ step: ReachStep; failure: LoginFailure } | undefined> {
  const { server, done, timeoutMs = LOGIN_TIMEOUT_MS } = options;
  let step: ReachStep = 'resolve';
  const sockets: Socket[] = [];
  try {
    const addresses = await within(timeoutMs, addressesOf(server.host));
    done('resolve', addresses.join(', '));
    step = 'connect';
    const socket = connectPlain({ host: server.host, port: server.port });
    sockets.push(socket);
    await within(
      timeoutMs,
      once(socket, 'connect'),
      addresses.every(isIPv6) ? ` over IPv6 (${addresses.join(', ')})` : ` from ${addresses.join(', ')}`,
    );
    done('connect', `${socket.remoteAddress ?? server.host} port ${server.port}`);
    step = 'tls';
    const secured = await within(
      timeoutMs,
      secure(socket, options, (each) => sockets.push(each)),
    );
    done('tls', describe(secured));
    return undefined;
  } catch (error) {
    return { step, failure: errorFailure(error, { server, user: '', accessToken: '' }) };
  } finally {
    // TLS takes the connection under it along; destroying that one first, Node 20 crashes.
    sockets.at(-1)?.destroy();
  }
}

async function addressesOf(host: string): Promise<string[]> {
  const found = await lookup(host, { all: true });
  return [...new Set(found.map(({ address }) => address))];
}

async function secure(
  plain: Socket,
  { protocol, server, ca }: ReachOptions,
  opened: (socket: Socket) => void,
): Promise<TLSSocket> {
  if (server.tls === 'starttls') await DIALOGUES[protocol](new Lines(plain));
  const socket = connectTls({
    socket: plain,
    ...(isIP(server.host) === 0 ? { servername: server.host } : { host: server.host }),
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    ...(ca !== undefined && { ca }),
  });
  opened(socket);
  await once(socket, 'secureConnect');
  return socket;
}

/** What has to be said before TLS may begin. */
const DIALOGUES: Readonly<Record<Protocol, (lines: Lines) => Promise<void>>> = {
  smtp: async (lines) => {
    await smtpReply(lines, '220');
    lines.write('EHLO localhost');
    await smtpReply(lines, '250');
    lines.write('STARTTLS');
    await smtpReply(lines, '220', 'the server offers no STARTTLS: ');
    lines.release();
  },
  imap: async (lines) => {
    const greeting = await lines.next();
    if (!greeting.startsWith('* OK')) throw refusal(greeting);
    lines.write('a STARTTLS');
    let line = await lines.next();
    while (line.startsWith('* ')) line = await lines.next();
    if (!line.startsWith('a OK')) throw refusal(`the server offers no STARTTLS: ${line}`);
    lines.release();
  },
  pop: async (lines) => {
    const greeting = await lines.next();
    if (!greeting.startsWith('+OK')) throw refusal(greeting);
    lines.write('STLS');
    const line = await lines.next();
    if (!line.startsWith('+OK')) throw refusal(`the server offers no STLS: ${line}`);
    lines.release();
  },
};

/** Reads a whole reply, which may have several lines. */
async function smtpReply(lines: Lines, wanted: string, otherwise = ''): Promise<void> {
  let line = await lines.next();
  const first = line;
  while (/^\d{3}-/.test(line)) line = await lines.next();
  if (!line.startsWith(wanted)) throw refusal(`${otherwise}${first}`);
}

function refusal(text: string): LoginRefusal {
  return new LoginRefusal({
    kind: /^4\d\d|\[(?:SYS\/TEMP|UNAVAILABLE)\]/.test(text) ? 'unreachable' : 'protocol',
    text,
  });
}

function describe(socket: TLSSocket): string {
  const until = new Date(socket.getPeerCertificate().valid_to);
  const date = Number.isNaN(until.getTime()) ? '' : `, certificate valid until ${until.toISOString().slice(0, 10)}`;
  return `${socket.getProtocol() ?? 'TLS'}${date}`;
}

/** @param way of what was waited for, where that is worth a word */
async function within<T>(milliseconds: number, work: Promise<T>, way = ''): Promise<T> {
  const stop = new AbortController();
  const late = new Promise<never>((_resolve, reject) => {
    const error = Object.assign(new Error(`no answer${way} within ${milliseconds} ms`), { code: 'ETIMEDOUT' });
    const timer = setTimeout(() => reject(error), milliseconds);
    stop.signal.addEventListener('abort', () => clearTimeout(timer));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    stop.abort();
  }
}
