import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { networkInterfaces } from 'node:os';
import { listenForRedirect, type RedirectListener } from '../../../../src/lib/oauth/sign-in/loopback.ts';
import { renderPage } from '../../../../src/lib/oauth/sign-in/page.ts';

const STATE = 'S'.repeat(43);
const page = renderPage({ tone: 'good', title: 'done', lines: [] });
const failed = () => renderPage({ tone: 'bad', title: 'failed', lines: [] }, 400);
/** A machine without ::1 has no second address that somebody could take: nothing to test there. */
const hasIPv6 = Object.values(networkInterfaces()).some((each) => each?.some(({ address }) => address === '::1'));

describe('the listener for the redirect', () => {
  const open: RedirectListener[] = [];
  const servers: Server[] = [];

  afterEach(async () => {
    await Promise.all(open.splice(0).map((listener) => listener.close()));
    for (const server of servers.splice(0)) server.close();
  });

  async function listen(host: '127.0.0.1' | 'localhost', port?: number): Promise<RedirectListener> {
    const listener = await listenForRedirect({ host, path: '/', ...(port !== undefined && { port }) });
    open.push(listener);
    return listener;
  }

  async function occupy(host: string, port = 0): Promise<number> {
    const server = createServer().listen({ host, port, exclusive: true });
    servers.push(server);
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  const receive = (listener: RedirectListener, signal = new AbortController().signal): Promise<string> =>
    listener.receive(STATE, async (url) => ({ page, value: url.search }), failed, signal);

  const portOf = ({ redirectUri }: RedirectListener): number => Number(new URL(redirectUri).port);

  it('stays on 127.0.0.1', async () => {
    const listener = await listen('127.0.0.1');
    assert.match(listener.redirectUri, /^http:\/\/127\.0\.0\.1:\d+\/$/);
    if (hasIPv6) await assert.rejects(fetch(`http://[::1]:${portOf(listener)}/`));
    const others = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
    for (const { address } of others.filter(({ family, internal }) => family === 'IPv4' && !internal)) {
      await assert.rejects(fetch(`http://${address}:${portOf(listener)}/`), address);
    }
  });

  it('has both families on one port where the redirect URI says localhost', async function () {
    if (!hasIPv6) this.skip();
    const listener = await listen('localhost');
    await assert.rejects(occupy('::1', portOf(listener)), { code: 'EADDRINUSE' });
    await assert.rejects(occupy('127.0.0.1', portOf(listener)), { code: 'EADDRINUSE' });
    const received = receive(listener);
    await fetch(`http://localhost:${portOf(listener)}/?code=x&state=${STATE}`).then((response) => response.text());
    assert.equal(await received, `?code=x&state=${STATE}`);
  });

  it('refuses a fixed port that somebody else has, in either family', async function () {
    const port = await occupy('127.0.0.1');
    await assert.rejects(listen('127.0.0.1', port), { code: 'cannot_create' });
    if (!hasIPv6) this.skip();
    const sixth = await occupy('::1');
    await assert.rejects(listen('localhost', sixth), { code: 'cannot_create' });
    await assert.doesNotReject(occupy('127.0.0.1', sixth), 'and gives the other one back');
  });

  it('waits through a thousand requests that are not its own', async () => {
    const listener = await listen('127.0.0.1');
    const received = receive(listener);
    const bad = async (): Promise<void> => {
      const response = await fetch(`${listener.redirectUri}?error=access_denied&state=guess`);
      await response.arrayBuffer();
      assert.equal(response.status, 403);
    };
    for (let round = 0; round < 20; round++) await Promise.all(Array.from({ length: 50 }, bad));
    const response = await fetch(`${listener.redirectUri}?code=x&state=${STATE}`);
    assert.equal(response.status, 200);
    assert.equal(await received, `?code=x&state=${STATE}`);
  });

  it('answers once: a second redirect gets a friendly page and changes nothing', async () => {
    const listener = await listen('127.0.0.1');
    let calls = 0;
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const received = listener.receive(
      STATE,
      async () => {
        calls++;
        await held;
        return { page, value: 'first' };
      },
      failed,
      new AbortController().signal,
    );
    const url = `${listener.redirectUri}?code=x&state=${STATE}`;
    const first = fetch(url);
    while (calls === 0) await new Promise((resolve) => setImmediate(resolve));
    const second = await fetch(url);
    assert.equal(second.status, 410);
    assert.match(await second.text(), /Already answered/);
    release();
    assert.equal(await received, 'first');
    assert.equal((await first).status, 200);
    assert.equal(calls, 1);
  });

  describe('with a browser that was opened here', () => {
    const LED = 'L'.repeat(43);
    const TARGET = 'https://login.example.org/auth?state=' + LED;
    const told: string[] = [];

    beforeEach(() => void told.splice(0));

    async function led(): Promise<{ listener: RedirectListener; oneTime: string; received: Promise<string> }> {
      const listener = await listenForRedirect({ host: '127.0.0.1', path: '/back' }, (words) => told.push(words));
      open.push(listener);
      return { listener, oneTime: listener.lead(TARGET, LED), received: receive(listener) };
    }
    const get = (url: string, cookie?: string) =>
      fetch(url, { redirect: 'manual', ...(cookie !== undefined && { headers: { cookie } }) });
    const opened = async (oneTime: string): Promise<string> => {
      const response = await get(oneTime);
      assert.deepEqual([response.status, response.headers.get('location')], [302, TARGET]);
      const [cookie = '', ...attributes] = response.headers.get('set-cookie')?.split('; ') ?? [];
      assert.deepEqual(attributes, ['Path=/', 'HttpOnly', 'SameSite=Lax']);
      assert.match(cookie, /^cms-[0-9a-f]{8}=[\w-]{43}$/);
      return cookie;
    };

    it('leads on once, says so when it is opened again, and lets the same browser go on', async () => {
      const { oneTime } = await led();
      assert.doesNotMatch(oneTime, /state|login\.example/);
      const cookie = await opened(oneTime);
      const second = await get(oneTime);
      assert.deepEqual(
        [second.status, second.headers.get('location'), second.headers.get('set-cookie')],
        [410, null, null],
      );
      assert.match(await second.text(), /Opened already/);
      assert.match(told.join(), /opened a second time/);
      assert.equal((await get(oneTime, `a=b; ${cookie}`)).status, 302);
    });

    it('takes its answer only with its cookie, and takes the cookie back', async () => {
      const { listener, oneTime, received } = await led();
      const cookie = await opened(oneTime);
      const answer = `${listener.redirectUri}?code=x&state=${LED}`;
      const [name] = cookie.split('=');
      for (const other of [undefined, `${name}=`, `${name}=${'x'.repeat(43)}`, `x${cookie}`])
        assert.equal((await get(answer, other)).status, 403, other);
      assert.match(told.join(), /did not come from the browser that cms opened/);
      const response = await get(answer, `${name}=other; ${cookie}`);
      assert.equal(response.status, 200);
      assert.match(response.headers.get('set-cookie') ?? '', new RegExp(`^${name}=; .*Max-Age=0`));
      assert.equal(await received, `?code=x&state=${LED}`);
    });

    it('needs no cookie for the address that only the terminal has shown', async () => {
      const { listener, received } = await led();
      assert.equal((await get(`${listener.redirectUri}?code=x&state=${STATE}`)).status, 200);
      assert.equal(await received, `?code=x&state=${STATE}`);
    });

    it('leads nowhere under another name, or by another method', async () => {
      const { oneTime } = await led();
      assert.equal((await get(oneTime.replace('127.0.0.1', 'localhost'))).status, 403);
      assert.equal((await fetch(oneTime, { method: 'POST' })).status, 405);
      await opened(oneTime);
    });

    it('tells of an error that came without a state, and of no more than a few', async () => {
      const { listener, received } = await led();
      await get(`${listener.redirectUri}?error=access_denied&error_description=not%1b%5b2Jtoday`);
      assert.match(told.join(), /no state, and the error "access_denied": "not\\u001b\[2Jtoday"/);
      await get(`${listener.redirectUri}?code=x`);
      assert.match(told.at(-1) ?? '', /a code, but no state/);
      await Promise.all(Array.from({ length: 200 }, (_each, index) => get(`${listener.redirectUri}?error=e${index}`)));
      assert.equal(told.length, 10);
      assert.equal((await get(new URL('/favicon.ico', listener.redirectUri).href)).status, 404);
      assert.equal((await get(`${listener.redirectUri}?code=x&state=${STATE}`)).status, 200);
      await received;
    });

    it('takes an answer among 180 cookies of other programs on this host', async () => {
      const { listener, oneTime, received } = await led();
      const cookie = await opened(oneTime);
      const others = Array.from({ length: 180 }, (_each, index) => `c${index}=${'v'.repeat(4000)}`);
      const response = await get(`${listener.redirectUri}?code=x&state=${LED}`, [...others, cookie].join('; '));
      assert.equal(response.status, 200);
      await received;
    });

    it('tells of what is too long, and of what is not HTTP', async () => {
      const { listener } = await led();
      const long = await get(listener.redirectUri, 'x'.repeat(2 * 1024 * 1024)).catch(() => undefined);
      assert.ok(long === undefined || long.status === 431);
      const socket = connect(portOf(listener), '127.0.0.1');
      socket.end('\x16\x03\x01\x02\x00\x01');
      assert.match(await text(socket), /^HTTP\/1\.1 400 /);
      assert.match(told.join(), /more than 1 MiB[^]*not HTTP/);
    });
  });

  it('reads all Host headers of a request', async () => {
    const listener = await listen('127.0.0.1');
    void receive(listener).catch(() => undefined);
    const host = new URL(listener.redirectUri).host;
    const raw = async (...headers: string[]): Promise<string> => {
      const socket = connect(portOf(listener), '127.0.0.1');
      socket.end([`GET /?code=x&state=${STATE} HTTP/1.1`, ...headers, 'Connection: close', '', ''].join('\r\n'));
      return (await text(socket)).split('\r\n')[0]!;
    };
    assert.match(await raw(`Host: ${host}`, 'Host: evil.example'), / 40[03] /);
    assert.match(await raw('Host: evil.example', `Host: ${host}`), / 40[03] /);
    assert.match(await raw(), / 40[03] /);
    assert.match(await raw(`Host: ${host}`), / 200 /);
  });

  it('shows the failure in the browser and throws it', async () => {
    const listener = await listen('127.0.0.1');
    const error = new Error('no such luck');
    const received = listener.receive(STATE, () => Promise.reject(error), failed, new AbortController().signal);
    const refused = assert.rejects(received, error);
    const response = await fetch(`${listener.redirectUri}?code=x&state=${STATE}`);
    assert.equal(response.status, 400);
    assert.match(await response.text(), /failed/);
    await refused;
  });

  it('ends with the reason of its signal, and is gone once closed', async () => {
    const listener = await listen('127.0.0.1');
    const controller = new AbortController();
    const received = receive(listener, controller.signal);
    const reason = new Error('given up');
    controller.abort(reason);
    await assert.rejects(received, reason);
    await assert.rejects(receive(listener, AbortSignal.abort(reason)), reason);
    const idle = connect(portOf(listener), '127.0.0.1');
    await once(idle, 'connect');
    await listener.close();
    await assert.rejects(fetch(listener.redirectUri));
    idle.destroy();
  });
});
