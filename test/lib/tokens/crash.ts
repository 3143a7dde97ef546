/**
 * A process that refreshes and is killed at a point that its argument names: `exchanged` (the provider has answered,
 * nothing is stored) or `stored` (on the disk, not served).
 */
import { CmsError } from '../../../src/lib/core/errors.ts';
import { openContext } from '../../../src/lib/context.ts';
import { silentLogger } from '../../../src/lib/core/log.ts';
import { exchangeRefreshToken } from '../../../src/lib/oauth/token/refresh.ts';
import { TokenService } from '../../../src/lib/tokens/service.ts';

const [address = '', point = ''] = process.argv.slice(2);
const context = openContext(process.env);
const account = await context.accounts.resolve(address);
const die = (): void => void process.kill(process.pid, 'SIGKILL');
let writes = 0;
const vault = new Proxy(context.vault, {
  get(target, name) {
    if (name === 'write') {
      return async (record: Parameters<typeof target.write>[0]) => {
        await target.write(record);
        // The first write is the attempt note.
        if (point === 'stored' && ++writes === 2) die();
      };
    }
    const value: unknown = Reflect.get(target, name, target);
    return typeof value === 'function' ? (value.bind(target) as unknown) : value;
  },
});
const service = new TokenService({
  vault,
  exchange: async (...parameters) => {
    const outcome = await exchangeRefreshToken(...parameters);
    if (point === 'exchanged') die();
    return outcome;
  },
  log: silentLogger,
  now: Date.now,
  random: Math.random,
});
await service.accessToken(account, { forceRefresh: true });
throw new CmsError('internal_error', 'this process should have been killed');
