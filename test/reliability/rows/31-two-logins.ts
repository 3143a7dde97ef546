import { signInForCallbackUrl } from '../../support/person.ts';
import { startWorld } from '../../support/world.ts';
import { type Row, Checks } from '../harness.ts';
import { beginLogin } from '../login.ts';

const [ANN, BEN] = ['ann@example.org', 'ben@example.org'];

export const twoLogins: Row = {
  number: 31,
  title: 'two sign-ins at once; favicon, prefetch, callback twice, callback of the other one',
  target: 'each in its own account, one exchange each, nothing else counts',
  async run() {
    const checks = new Checks();
    await using world = await startWorld();
    checks.that((await world.add('zoe@example.org', '--no-test')).status === 0, 'no first account');
    world.provider.clearRequests();
    const [ann, ben] = await Promise.all([beginLogin(world, ANN), beginLogin(world, BEN)]);
    const [annUrl, benUrl] = await Promise.all([
      signInForCallbackUrl(ann.url, { login: ANN }),
      signInForCallbackUrl(ben.url, { login: BEN }),
    ]);
    const get = (url: string, init: RequestInit = {}): Promise<number> =>
      fetch(url, init).then(
        ({ status }) => status,
        () => 0,
      );
    const swapped = annUrl.replace(`:${ann.port}/`, `:${ben.port}/`);
    const noise: [string, number, number][] = [
      ['favicon', await get(`http://127.0.0.1:${ann.port}/favicon.ico`), 404],
      ['prefetch with HEAD', await get(annUrl, { method: 'HEAD' }), 405],
      ['callback of the other one', await get(swapped), 400],
      ['error without the state', await get(`http://127.0.0.1:${ann.port}/?error=access_denied`), 400],
    ];
    for (const [name, status, expected] of noise) {
      checks.that(status >= 400 && status < 500, `${name}: ${status}, not ${expected}`);
    }
    const twice = await Promise.all([get(annUrl), get(annUrl), get(annUrl)]);
    checks.that(twice.filter((status) => status === 200).length === 1, `callback three times: ${twice.join(' ')}`);
    checks.that((await get(benUrl)) === 200, 'the other callback failed');
    const ended = await Promise.all([ann.process.exited, ben.process.exited]);
    checks.that(
      ended.every(({ status }) => status === 0),
      `statuses ${ended.map(({ status }) => status).join(' ')}: ${ann.process.stderr.slice(-200)}`,
    );
    const exchanges = world.provider.count('authorization_code');
    checks.that(exchanges === 2, `${exchanges} exchanges`);
    for (const address of [ANN, BEN]) {
      const token = (await world.cms('token', address)).stdout.trim();
      const { username } = await world.provider.introspect(token);
      checks.that(username === address, `${address} has the token of ${username}`);
    }
    return checks.measured(`${exchanges} exchanges for 2 sign-ins, ${noise.length + 2} requests without effect`);
  },
};
