import assert from 'node:assert/strict';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { decodeBody } from '../../../../src/lib/oauth/http/content-coding.ts';

const TEXT = '{"access_token":"at","token_type":"Bearer"}';
const LIMIT = 4096;

const read = async (body: Buffer, header?: string): Promise<string> =>
  (await decodeBody(body, header, LIMIT)).toString();

describe('a content coding', () => {
  const plain = Buffer.from(TEXT);
  for (const [header, body] of [
    [undefined, plain],
    ['', plain],
    ['identity', plain],
    ['UTF-8', plain],
    ['gzip', gzipSync(plain)],
    ['GZip', gzipSync(plain)],
    ['x-gzip', gzipSync(plain)],
    ['gzip', Buffer.concat([gzipSync(plain.subarray(0, 10)), gzipSync(plain.subarray(10))])],
    ['deflate', deflateSync(plain)],
    ['deflate', deflateRawSync(plain)],
    ['br', brotliCompressSync(plain)],
    ['gzip, br', brotliCompressSync(gzipSync(plain))],
    ['deflate,,identity , gzip', gzipSync(deflateSync(plain))],
    ['gzip', plain],
    [undefined, gzipSync(plain)],
  ] as const) {
    it(`"${header ?? 'none'}" of ${body.subarray(0, 4).toString('hex')}… is undone`, async () => {
      assert.equal(await read(body, header), TEXT);
    });
  }

  it('of an empty body is nothing', async () => {
    for (const header of ['gzip', 'br', 'deflate']) assert.equal(await read(Buffer.alloc(0), header), '');
  });

  for (const [what, header, body, says] of [
    ['is not known', 'zstd', plain, /compressed in a way that cms does not know \(zstd\)/],
    ['would steer a terminal', 'a\x1b[2J', plain, /\(a\?\[2j\)/],
    ['is cut off', 'gzip', gzipSync(plain).subarray(0, 20), /cannot be decompressed \(gzip: unexpected end of file\)/],
    ['is damaged', 'br', plain, /cannot be decompressed \(br: /],
    ['is a bomb', 'gzip', gzipSync(Buffer.alloc(100 * LIMIT)), /larger than 4096 bytes/],
    ['is a bomb in a bomb', 'gzip, gzip', gzipSync(gzipSync(Buffer.alloc(5000 * LIMIT))), /larger than 4096 bytes/],
    ['has too many layers', Array(6).fill('gzip').join(), plain, /6 content codings/],
  ] as const) {
    it(`that ${what} is told`, async () => {
      await assert.rejects(read(body, header), { name: 'UndecodableBody', message: says });
    });
  }

  it('brings back every body', async () => {
    const codings = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync };
    const bodies = fc.uint8Array({ maxLength: 200 }).filter(([first, second]) => first !== 0x1f || second !== 0x8b);
    await fc.assert(
      fc.asyncProperty(bodies, fc.constantFrom('gzip', 'deflate', 'br'), async (bytes, name) => {
        assert.deepEqual(await decodeBody(codings[name as 'gzip'](bytes), name, LIMIT), Buffer.from(bytes));
      }),
    );
  });
});
