import { signIn, signInForCallbackUrl } from '../../support/person.ts';
import { startWorld } from '../../support/world.ts';
import { JANE, type Row, Checks, timed, until } from '../harness.ts';
import { beginLogin, idleConnections, isOpen } from '../login.ts';

const IDLE = 1000;

export const callback: Row = {
  number: 30,
  title: 'sign-in with 1,000 idle connections at the redirect port',
  target: 'callback answered < 1 s, port closed <= 1 s after it, program ends well',
  alone: 'full',
  async run(scale) {
    const checks = new Checks();
    await using world = await startWorld();
    const login = await beginLogin(world, JANE);
    const url = await signInForCallbackUrl(login.url, { login: JANE });
    const idle = await idleConnections(login.port, IDLE);
    const { value, ms } = await timed(() => fetch(url).then((response) => response.status));
    const closed = await until(async () => !(await isOpen(login.port)), 3000, 10);
    const { status } = await login.process.exited;
    for (const socket of idle) socket.destroy();
    checks.that(value === 200, `HTTP ${value}`);
    checks.that(ms < scale.within(1000), `the callback took ${ms.toFixed(0)} ms`);
    checks.that(closed !== undefined && closed < scale.within(1000), `the port was open for ${closed} ms`);
    checks.that(status === 0, `status ${status}: ${login.process.stderr.slice(-300)}`);
    // Once more, to see that nothing of the first one is in the way.
    const second = await beginLogin(world, JANE);
    checks.that((await signIn(second.url, { login: JANE })).status === 200, 'the second sign-in failed');
    checks.that((await second.process.exited).status === 0, 'the second sign-in ended badly');
    return checks.measured(`callback ${ms.toFixed(0)} ms, port closed ${(closed ?? NaN).toFixed(0)} ms after it`);
  },
};
