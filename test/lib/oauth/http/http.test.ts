import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  causeIn,
  clockAheadSeconds,
  NoAnswer,
  request,
  retryAfterSeconds,
} from '../../../../src/lib/oauth/http/http.ts';

describe('a request to a provider', () => {
  let server: Server | undefined;

  async function serve(listener: RequestListener): Promise<string> {
    server = createServer(listener).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  }

  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
    server = undefined;
  });

  it('returns whatever was answered, to its end', async () => {
    const url = await serve((_request, response) => response.writeHead(503, { 'retry-after': '7' }).end('down'));
    const { status, headers, body } = await request(url);
    assert.deepEqual([status, headers.get('retry-after'), body], [503, '7', 'down']);
  });

  it('follows no redirect', async () => {
    let visits = 0;
    const url = await serve((_request, response) => {
      visits++;
      response.writeHead(307, { location: '/elsewhere' }).end();
    });
    assert.equal((await request(url, { method: 'POST', body: 'refresh_token=x' })).status, 307);
    assert.equal(visits, 1);
  });

  it('takes an answer of a mebibyte, and not a byte more', async () => {
    let bytes = 1024 * 1024;
    const url = await serve((_request, response) => response.end('x'.repeat(bytes)));
    assert.equal((await request(url)).body.length, bytes);
    bytes++;
    await assert.rejects(request(url), (error) => error instanceof NoAnswer && error.message.includes('larger than'));
  });

  it('gives an answer without end up', async () => {
    const url = await serve((_request, response) => {
      response.on('error', () => undefined);
      const fill = (): void => {
        if (!response.destroyed) response.write('x'.repeat(65_536), fill);
      };
      fill();
    });
    await assert.rejects(request(url), (error) => error instanceof NoAnswer && error.message.includes('larger than'));
  });

  it('names why there was no answer', async () => {
    const url = await serve((incoming) => incoming.socket.destroy());
    await assert.rejects(
      request(url),
      (error) => error instanceof NoAnswer && error.message.includes('closed before the answer'),
    );
    server?.close();
    await assert.rejects(request(url), /^NoAnswer: 127\.0\.0\.1:\d+: connection refused$/);
  });

  it('ends with the reason of its signal', async () => {
    const url = await serve(() => undefined);
    const reason = new Error('given up');
    await assert.rejects(request(url, {}, AbortSignal.abort(reason)), reason);
  });
});

describe('causeIn', () => {
  it('finds an error behind others, and only in errors', () => {
    const inner = new NoAnswer('x');
    assert.equal(causeIn(new Error('a', { cause: new TypeError('b', { cause: inner }) }), NoAnswer), inner);
    assert.equal(causeIn({ cause: inner }, NoAnswer), undefined);
  });
});

describe('Retry-After', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  for (const [value, seconds] of [
    [undefined, undefined],
    ['120', 120],
    ['0', 0],
    ['-1', undefined],
    ['soon', undefined],
    ['Thu, 01 Jan 2026 00:01:00 GMT', 60],
    ['Wed, 31 Dec 2025 23:00:00 GMT', 0],
    ['99999999999', 99_999_999_999],
    ['', undefined],
    ['12.5', undefined],
    ['Thu, soon', undefined],
  ] as const) {
    it(`of ${String(value)} is ${String(seconds)}`, () => {
      assert.equal(retryAfterSeconds(new Map(value === undefined ? [] : [['retry-after', value]]), now), seconds);
    });
  }
});

describe('the clock of this machine', () => {
  it('is compared with the date of an answer', () => {
    const now = Date.parse('2026-01-01T00:10:00Z');
    const dated = (date?: string): number | undefined =>
      clockAheadSeconds(new Map(date === undefined ? [] : [['date', date]]), now);
    assert.equal(dated('Thu, 01 Jan 2026 00:00:00 GMT'), 600);
    assert.equal(dated('Thu, 01 Jan 2026 01:10:00 GMT'), -3600);
    assert.equal(dated('soon'), undefined);
    assert.equal(dated(), undefined);
  });

  it('reads a date by the clock of whoever wrote it', () => {
    const headers = new Map([
      ['retry-after', 'Thu, 01 Jan 2026 03:01:00 GMT'],
      ['date', 'Thu, 01 Jan 2026 03:00:00 GMT'],
    ]);
    assert.equal(retryAfterSeconds(headers, Date.parse('2026-01-01T00:00:00Z')), 60);
  });
});
