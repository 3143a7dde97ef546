/** A process that has a token exchanged, with the parts of `cms token`, and says `served` once it has it. */
import { openContext } from '../../../src/lib/context.ts';
import { silentLogger } from '../../../src/lib/core/log.ts';
import { openTokens } from '../../../src/lib/tokens/open.ts';

const [address = ''] = process.argv.slice(2);
const context = openContext(process.env, { log: silentLogger });
const account = await context.accounts.resolve(address);
await openTokens(context).accessToken(account, { forceRefresh: true });
console.log('served');
