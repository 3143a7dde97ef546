import { gzipSync } from 'node:zlib';
import { JANE, type Row, Checks, Site, figuresOf } from '../harness.ts';
import { nothingLost } from '../lost.ts';
import type { Fault, Reply } from '../../support/provider.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const HTML_TYPE = { 'content-type': 'text/html' };
const good = { access_token: 'a', token_type: 'Bearer', expires_in: 3600 };
const text = (value: unknown): string => JSON.stringify(value);
const json = (body: string | Buffer, status = 200): Reply => ({ status, headers: JSON_TYPE, body });
const html = (body: string, status = 200): Reply => ({ status, headers: HTML_TYPE, body });

/** None of these may cost the grant, and none may be served. */
function bodies(): Reply[] {
  const page = '<!DOCTYPE html><html><body>Please log in to the Wi-Fi</body></html>';
  const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024, 0x20));
  return [
    html(page),
    html(page, 400),
    html(page, 401),
    html(page, 403),
    html(page, 404),
    html(page, 511),
    html(''),
    json(''),
    json('', 400),
    json(' '),
    json('{'),
    json('{"access_token":"abc'),
    json('{"error":"invalid_gra', 400),
    json('{}'),
    json('{}', 400),
    json('[]'),
    json('[]', 400),
    json('[{"error":"invalid_grant"}]', 400),
    json('null'),
    json('null', 400),
    json('true'),
    json('0'),
    json('"invalid_grant"', 400),
    json(text({ ...good, access_token: undefined })),
    json(text({ ...good, access_token: '' })),
    json(text({ ...good, access_token: 12 })),
    json(text({ ...good, access_token: ['a'] })),
    json(text({ ...good, token_type: 'mac' })),
    json(text({ ...good, token_type: undefined })),
    json(text({ ...good, token_type: 7 })),
    json(`\ufeff${text({ error: 'invalid_grant' })}`),
    json(text({ error: 'invalid_grant' })),
    json(text({ error: 'invalid_client' })),
    json(text({ error: 'invalid_grant' }), 500),
    json(text({ error: 'invalid_grant' }), 503),
    json(text({ error: 12 }), 400),
    json(text({ error: { code: 'invalid_grant' } }), 400),
    json(text({ error: 'invalid\u0000grant' }), 400),
    json(text({ error: 'temporarily_unavailable' }), 400),
    json(text({ error: 'x'.repeat(5000) }), 400),
    json('{"a":'.repeat(100_000)),
    json(Buffer.from([0xff, 0xfe, 0x00, 0x80])),
    json(Buffer.alloc(10 * 1024 * 1024, 0x20)),
    { status: 200, headers: { ...JSON_TYPE, 'content-encoding': 'gzip' }, body: bomb },
    { status: 200, headers: { ...JSON_TYPE, 'content-encoding': 'gzip' }, body: 'this is no gzip' },
    { status: 302, headers: { location: 'http://127.0.0.1:9/' }, body: '' },
    { status: 307, headers: { location: 'http://127.0.0.1:9/' }, body: '' },
    { status: 204, headers: {}, body: '' },
  ];
}

export const hostileBodies: Row = {
  number: 10,
  title: 'web pages, half JSON, wrong types, 10 MiB, a gzip bomb, 200 with an error',
  target: 'at least 40 answers, none costs the grant, none is served, < 100 MiB more memory',
  async run() {
    const checks = new Checks();
    await using site = await Site.open();
    const broker = await site.serve();
    const token = await site.ask(`SMTP,token ${JANE}`);
    const { refresh_token } = (await site.onDisk()).secrets;
    const before = figuresOf(broker.pid).rssMiB;
    let peak = 0;
    const all = bodies();
    for (const [index, reply] of all.entries()) {
      const fault: Fault = () => reply;
      site.provider.setFault(fault);
      const error = await site.refresh();
      const name = `answer ${index} (${reply.status} ${startOf(reply.body)})`;
      checks.that(error === 'temporarily_unavailable', `${name}: ${error}`);
      checks.that((await site.ask(`SMTP,token ${JANE}`)) === token, `${name}: the live token is not served any more`);
      const { state, secrets } = await site.onDisk();
      checks.that(state === 'active' && secrets.refresh_token === refresh_token, `${name}: ${state}`);
      peak = Math.max(peak, figuresOf(broker.pid).rssMiB);
    }
    checks.that(peak - before < 100, `${before.toFixed(0)} → ${peak.toFixed(0)} MiB`);
    site.provider.setFault(undefined);
    await broker.stop();
    checks.all((await nothingLost(site)).problems);
    return checks.measured(
      `${all.length} answers, grant kept ${all.length} times, at most ${(peak - before).toFixed(0)} MiB more`,
    );
  },
};

function startOf(body: Reply['body']): string {
  return typeof body === 'string' || Buffer.isBuffer(body) ? body.toString().slice(0, 30) : 'a stream';
}
