/**
 * Just enough of the D-Bus wire format for calls whose arguments are strings and whose answers begin with a string or
 * with a boolean in a variant. Pure.
 * @see https://dbus.freedesktop.org/doc/dbus-specification.html "Marshaling", "Message Protocol"
 */

export interface MethodCall {
  serial: number;
  path: string;
  interface: string;
  member: string;
  destination: string;
  body: readonly string[];
}

export interface DBusReply {
  replySerial: number | undefined;
  /** Set when the reply is an error. */
  errorName: string | undefined;
  /** The first argument as a string or an object path; empty when there is none. */
  string: () => string;
  /** The first argument as a boolean in a variant. */
  variantBoolean: () => boolean;
}

const FIXED_HEADER_BYTES = 16;
const METHOD_CALL = 1;
const PROTOCOL_VERSION = 1;
/** Codes of the header fields. */
const FIELD = { path: 1, interface: 2, member: 3, errorName: 4, replySerial: 5, destination: 6, signature: 8 } as const;

/** A method call as bytes, little-endian. */
export function encodeCall(call: MethodCall): Buffer {
  const body = concatAligned(call.body.map(stringValue), 4);
  const fields = concatAligned(
    [
      field(FIELD.path, 'o', stringValue(call.path)),
      field(FIELD.interface, 's', stringValue(call.interface)),
      field(FIELD.member, 's', stringValue(call.member)),
      field(FIELD.destination, 's', stringValue(call.destination)),
      ...(call.body.length > 0 ? [field(FIELD.signature, 'g', signatureValue('s'.repeat(call.body.length)))] : []),
    ],
    8,
  );
  const head = Buffer.from([0x6c, METHOD_CALL, 0, PROTOCOL_VERSION]);
  return Buffer.concat([
    pad(Buffer.concat([head, u32(body.length), u32(call.serial), u32(fields.length), fields]), 8),
    body,
  ]);
}

/** An element of the array of header fields; each begins on a multiple of 8, so that its value is aligned as well. */
function field(code: number, type: string, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([code]), signatureValue(type), value]);
}

function stringValue(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([u32(bytes.length), bytes, Buffer.alloc(1)]);
}

function signatureValue(text: string): Buffer {
  return Buffer.from([text.length, ...Buffer.from(text), 0]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function aligned(offset: number, boundary: number): number {
  return Math.ceil(offset / boundary) * boundary;
}

function pad(bytes: Buffer, boundary: number): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(aligned(bytes.length, boundary) - bytes.length)]);
}

function concatAligned(parts: readonly Buffer[], boundary: number): Buffer {
  return parts.reduce((all, part) => Buffer.concat([pad(all, boundary), part]), Buffer.alloc(0));
}

/** All whole messages at the start of `bytes`, and what is left of it. */
export function parseMessages(bytes: Buffer): { messages: DBusReply[]; rest: Buffer } {
  const messages: DBusReply[] = [];
  let rest = bytes;
  while (rest.length >= FIXED_HEADER_BYTES) {
    const read = reader(rest);
    const bodyStart = aligned(FIXED_HEADER_BYTES + read.u32(12), 8);
    const end = bodyStart + read.u32(4);
    if (rest.length < end) break;
    messages.push(parseMessage(rest.subarray(0, end), bodyStart));
    rest = rest.subarray(end);
  }
  return { messages, rest };
}

function parseMessage(bytes: Buffer, bodyStart: number): DBusReply {
  const read = reader(bytes);
  const fields = headerFields(bytes, FIXED_HEADER_BYTES + read.u32(12));
  const replySerial = fields.get(FIELD.replySerial);
  const errorName = fields.get(FIELD.errorName);
  const body = bodyStart;
  return {
    replySerial: typeof replySerial === 'number' ? replySerial : undefined,
    errorName: typeof errorName === 'string' ? errorName : undefined,
    string: () => (bytes.length >= body + 4 ? read.string(body) : ''),
    // A variant is a signature (here 1, 'b', 0) and then the value at its own alignment.
    variantBoolean: () => read.u32(body + 4) !== 0,
  };
}

function headerFields(bytes: Buffer, end: number): Map<number, string | number> {
  const read = reader(bytes);
  const fields = new Map<number, string | number>();
  for (let at = FIXED_HEADER_BYTES; at < end; at = aligned(at, 8)) {
    const type = String.fromCharCode(bytes.readUInt8(at + 2));
    const value = at + 4;
    if (type === 'u') {
      fields.set(bytes.readUInt8(at), read.u32(value));
      at = value + 4;
    } else if (type === 'g') {
      at = value + bytes.readUInt8(value) + 2;
    } else {
      fields.set(bytes.readUInt8(at), read.string(value));
      at = value + 4 + read.u32(value) + 1;
    }
  }
  return fields;
}

function reader(bytes: Buffer): { u32: (at: number) => number; string: (at: number) => string } {
  const little = bytes[0] === 0x6c;
  const u32 = (at: number): number => (little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at));
  return { u32, string: (at) => bytes.toString('utf8', at + 4, at + 4 + u32(at)) };
}
