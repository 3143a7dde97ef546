/** Other programs that hand out tokens, where they are on this machine. */
import { spawnSync } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { run, start } from '../test/support/processes.ts';
import { TOKEN_BYTES } from './home.ts';
import { startGrantingProvider } from './provider.ts';
import { ask, type Server, serverOf } from './servers.ts';
import { Stack } from './stack.ts';
import { peer } from './tools.ts';

/** The program whose wire cms understands: a checkout of it, named by whoever measures. */
export const ANCESTOR = {
  client: 'cms-oauth of cloud_mdir_sync',
  server: 'cloud_mdir_sync',
  checkout: process.env.CMS_BENCH_ANCESTOR,
  missing: 'CMS_BENCH_ANCESTOR names no checkout',
};

export function startAncestor(folder: string, checkout: string, user: string): Promise<Server> {
  const socket = join(folder, 'ancestor.sock');
  const args = [peer('ancestor.py'), checkout, socket, user, String(TOKEN_BYTES)];
  return serverOf(ANCESTOR.server, socket, start('/usr/bin/python3', args, { env: { PATH: process.env.PATH } }));
}

export const OIDC_AGENT = { client: 'oidc-token', server: 'oidc-agent', missing: 'oidc-agent-cli is not installed' };
const ACCOUNT = 'bench';

export interface OidcAgent extends Server {
  env: Record<string, string | undefined>;
  /** Prints its token. */
  argv: string[];
}

/** oidc-agent with one account that has its token. @returns undefined where it is not installed */
export async function startOidcAgent(folder: string): Promise<OidcAgent | undefined> {
  const { stdout: client } = spawnSync('sh', ['-c', 'command -v oidc-token'], { encoding: 'utf8' });
  if (client === '') return undefined;
  const stack = new Stack();
  try {
    const { tokenEndpoint, caFile = '' } = stack.use(await startGrantingProvider('https'));
    const home = await mkdtemp(join(folder, 'oidc-agent-'));
    const socket = join(home, 'agent.sock');
    const env = { PATH: process.env.PATH, HOME: home, OIDC_SOCK: socket, OIDC_ENCRYPTION_PW: 'bench' };
    const child = start('oidc-agent', ['--console', `--socket-path=${socket}`], { env });
    const server = stack.use(await serverOf(OIDC_AGENT.server, socket, child));
    await signIn(env, new URL(tokenEndpoint).origin, caFile);
    const request = JSON.stringify({ request: 'access_token', account: ACCOUNT });
    const answer = await ask(socket, request);
    if (answer?.includes('"access_token"') !== true) throw new Error(`oidc-agent answers: ${String(answer)}`);
    return {
      ...server,
      load: { request, answerBytes: answer.length },
      env,
      argv: [client.trim(), ACCOUNT],
      [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose](),
    };
  } catch (error) {
    await stack[Symbol.asyncDispose]();
    throw error;
  }
}

async function signIn(env: Record<string, string | undefined>, issuer: string, caFile: string): Promise<void> {
  const client = ['--client-id=client', '--client-secret=secret', '--redirect-uri=http://localhost:4242'];
  const provider = [`--iss=${issuer}`, `--cp=${caFile}`, '--scope=openid', '--flow=refresh', '--rt=token', '--manual'];
  const unattended = ['--prompt=none', '--confirm-default', '--pw-env'];
  const { status, stderr } = await run('oidc-gen', [...provider, ...client, ...unattended, ACCOUNT], { env });
  if (status !== 0) throw new Error(`oidc-gen ended with ${String(status)}: ${stderr}`);
}
