/** Content codings of HTTP, undone: some servers compress without being asked. @see RFC 9110 section 8.4 */
import { messageOf, systemErrorCode } from '../../core/errors.ts';

/** Each one multiplies what an answer can come to; no server has a use for more. */
const MOST_CODINGS = 5;

/** Not codings at all; the names of charsets get into this header by mistake. */
const NOTHING: ReadonlySet<string> = new Set(['', 'identity', 'none', 'utf-8', 'utf8', 'binary', '8bit']);

/** The body cannot be read: a coding that is unknown, or data that is damaged. */
export class UndecodableBody extends Error {
  override readonly name = 'UndecodableBody';
  readonly suggestions = ['run the command again later', 'tell the administrator of HOST what it answers'];
}

/**
 * The body as it was before it was encoded.
 * @param header the value of Content-Encoding
 * @param maxBytes of the result, and of each step on the way to it
 * @throws UndecodableBody
 */
export async function decodeBody(body: Buffer, header: string | undefined, maxBytes: number): Promise<Buffer> {
  const codings = codingsIn(header).filter((coding) => !NOTHING.has(coding));
  if (codings.length > MOST_CODINGS) throw new UndecodableBody(`its answer has ${codings.length} content codings`);
  let decoded = body;
  for (const coding of codings.reverse()) decoded = await undo(coding, decoded, maxBytes);
  // Compressed and not said so, or in a transfer coding. No text begins with these bytes.
  return isGzip(decoded) ? undo('gzip', decoded, maxBytes) : decoded;
}

function codingsIn(header = ''): string[] {
  return header.split(',').map((name) => name.trim().toLowerCase());
}

function isGzip(body: Buffer): boolean {
  return body[0] === 0x1f && body[1] === 0x8b;
}

async function undo(coding: string, body: Buffer, maxOutputLength: number): Promise<Buffer> {
  if (body.length === 0) return body;
  // Only few answers are compressed, and `cms token` is in a hurry.
  const [zlib, { promisify }] = await Promise.all([import('node:zlib'), import('node:util')]);
  const options = { maxOutputLength };
  try {
    switch (coding) {
      case 'gzip':
      case 'x-gzip':
        // A proxy may have decompressed it and left the header.
        return isGzip(body) ? await promisify(zlib.gunzip)(body, options) : body;
      case 'deflate':
        return await (hasZlibHeader(body) ? promisify(zlib.inflate) : promisify(zlib.inflateRaw))(body, options);
      case 'br':
        return await promisify(zlib.brotliDecompress)(body, options);
    }
  } catch (error) {
    throw new UndecodableBody(
      systemErrorCode(error) === 'ERR_BUFFER_TOO_LARGE'
        ? `the answer is larger than ${maxOutputLength} bytes`
        : `its answer cannot be decompressed (${coding}: ${messageOf(error)})`,
    );
  }
  throw new UndecodableBody(`its answer is compressed in a way that cms does not know (${printable(coding)})`);
}

/** Some servers send bare deflate data, without the zlib format that the name stands for. @see RFC 9110 section 8.4.1.2 */
function hasZlibHeader([first = 0, second = 0]: Buffer): boolean {
  return (first & 0x0f) === 8 && ((first << 8) | second) % 31 === 0;
}

function printable(name: string): string {
  return name.replace(/[^\x21-\x7e]/g, '?').slice(0, 40);
}
