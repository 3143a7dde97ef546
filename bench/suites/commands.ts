/** Commands as whole processes: what somebody waits for. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CMS_PROGRAM } from '../../test/support/environment.ts';
import { startKeyring } from '../../test/support/keyring.ts';
import type { Environment } from '../../test/support/processes.ts';
import { isPresent } from '../../test/support/requirements.ts';
import { type Figure, figureOf, type Findings, type LeftOut, type Target } from '../figures.ts';
import { type Home, makeHome } from '../home.ts';
import { startGrantingProvider } from '../provider.ts';
import { ANCESTOR, OIDC_AGENT, startOidcAgent } from '../rivals.ts';
import { startCms } from '../servers.ts';
import type { Setting, Suite } from '../setting.ts';
import { Stack } from '../stack.ts';
import { type Command, type Timed, timeCommands } from '../timing.ts';
import { peer } from '../tools.ts';
import { makeUnbundled } from '../unbundled.ts';

const CMS_TOKEN = fileURLToPath(new URL('../../bin/cms-token', import.meta.url));

interface Case extends Command {
  title: string;
  /** Id of the command that it is compared with. */
  against?: string;
  target?: Target;
  note?: string;
}

const most = (ratio: number): Target => ({ of: 'ratio', most: ratio });

export const commands: Suite = { name: 'commands', title: 'Commands, as whole processes', measure };

async function measure(setting: Setting): Promise<Findings> {
  await using stack = new Stack();
  const leftOut: LeftOut[] = [];
  const cases = [
    ...floor(),
    ...(await withBroker(setting, stack, leftOut)),
    ...(await alone(stack, leftOut)),
    ...(await others(setting, stack)),
  ];
  const timed = timeCommands(cases, setting.pick(3, 21), setting.tools);
  return {
    figures: [...cases.flatMap((each) => figuresOf(each, cases, timed)), ...besideAncestor(cases, timed)],
    leftOut,
    plots: {
      commands: [
        {
          name: 'median',
          points: cases.map(({ id, title }) => ({ x: title, y: figureOf(valuesOf(id, timed)).value })),
        },
      ],
    },
  };
}

function valuesOf(id: string, timed: ReadonlyMap<string, Timed>) {
  return { id, title: id, unit: 'ms', values: timed.get(id)?.times ?? [] };
}

function figuresOf(each: Case, cases: readonly Case[], timed: ReadonlyMap<string, Timed>): Figure[] {
  const { id, title, target, against } = each;
  const peak = timed.get(id)?.peakMB;
  const peakNote = peak === undefined ? [] : [`at most ${peak.toFixed(0)} MB resident`];
  const note = [...(each.note === undefined ? [] : [each.note]), ...peakNote].join('; ');
  const reference = cases.find((other) => other.id === against);
  return [
    figureOf({
      ...valuesOf(id, timed),
      id: `commands.${id}`,
      title,
      ...(reference && { reference: { title: reference.title, values: timed.get(reference.id)?.times ?? [] } }),
      target,
      ...(note !== '' && { note }),
    }),
  ];
}

/** The same command, judged a second time. */
function besideAncestor(cases: readonly Case[], timed: ReadonlyMap<string, Timed>): Figure[] {
  const [token, old] = ['token', 'ancestor'].map((id) => cases.find((each) => each.id === id));
  if (token === undefined || old === undefined) return [];
  return [
    figureOf({
      ...valuesOf(token.id, timed),
      id: 'commands.token-ancestor',
      title: token.title,
      reference: { title: old.title, values: timed.get(old.id)?.times ?? [] },
      target: most(0.6),
    }),
  ];
}

const PLAIN: Environment = { PATH: process.env.PATH, LANG: 'C.UTF-8' };

function floor(): Case[] {
  return [{ id: 'node', title: 'node -e 0', argv: [process.execPath, '-e', '0'], env: PLAIN }];
}

/** A broker that has the token. */
async function withBroker(setting: Setting, stack: Stack, leftOut: LeftOut[]): Promise<Case[]> {
  const { tools } = setting;
  const home = stack.use(await makeHome({ accounts: 1 }));
  stack.use(await startCms(home));
  const { env, socket, address } = home;
  const request = `SMTP ${address}`;
  const token = cms(home, 'token', address);
  const cases: Case[] = [
    {
      id: 'bare-client',
      title: 'one-file Node client',
      argv: [process.execPath, peer('client.cjs'), socket, request],
      env,
      against: 'node',
    },
    { ...token, id: 'token', title: 'cms token', against: 'bare-client', target: most(1.15) },
  ];
  if (tools.native === undefined) {
    leftOut.push({ id: 'commands.c-client', title: 'C client', reason: 'no C compiler' });
  } else {
    cases.push({ id: 'c-client', title: 'C client', argv: [tools.native.client, socket, request], env });
  }
  if (existsSync(CMS_TOKEN)) {
    const reference = tools.native === undefined ? { against: 'node' } : { against: 'c-client', target: most(4) };
    cases.push({ id: 'cms-token', title: 'cms-token', argv: [CMS_TOKEN, address], env, ...reference });
  } else {
    leftOut.push({ id: 'commands.cms-token', title: 'cms-token', reason: 'bin/cms-token is not there' });
  }
  return [...cases, ...(await ancestor(home, leftOut)), ...(await oidcToken(setting, stack, leftOut))];
}

async function ancestor({ env, socket, address }: Home, leftOut: LeftOut[]): Promise<Case[]> {
  const { checkout, client: title, missing } = ANCESTOR;
  if (checkout === undefined) {
    leftOut.push({ id: 'commands.ancestor', title, reason: missing });
    return [];
  }
  const script = 'import sys; from cloud_mdir_sync.cms_oauth_main import main; sys.exit(main())';
  const flags = ['--cms_sock', socket, '--proto', 'SMTP', '--user', address, '--output', 'token'];
  return [
    {
      id: 'ancestor',
      title,
      argv: ['/usr/bin/python3', '-c', script, ...flags],
      env: { ...env, PYTHONPATH: checkout },
      note: 'with the broker of cms',
    },
  ];
}

async function oidcToken({ folder }: Setting, stack: Stack, leftOut: LeftOut[]): Promise<Case[]> {
  const agent = await startOidcAgent(folder);
  const { client: title, missing } = OIDC_AGENT;
  if (agent === undefined) {
    leftOut.push({ id: 'commands.oidc-token', title, reason: missing });
    return [];
  }
  const { argv, env } = stack.use(agent);
  return [{ id: 'oidc-token', title, argv, env, note: 'with its agent' }];
}

/** No broker: the vault is opened by the command itself. */
async function alone(stack: Stack, leftOut: LeftOut[]): Promise<Case[]> {
  const file = stack.use(await makeHome({ accounts: 1 }));
  const cases: Case[] = [
    {
      ...cms(file, 'token', file.address),
      id: 'alone-file',
      title: 'cms token alone, key in a file',
      against: 'node',
      target: most(2),
    },
    await refreshing(stack),
  ];
  if (!isPresent('gnome-keyring')) {
    const title = 'cms token alone, key in the keyring';
    leftOut.push({ id: 'commands.alone-keyring', title, reason: 'no gnome-keyring' });
    return cases;
  }
  const keyring = stack.use(await startKeyring());
  const home = stack.use(await makeHome({ accounts: 1, store: 'keyring', env: keyring.env }));
  cases.push({
    ...cms(home, 'token', home.address),
    id: 'alone-keyring',
    title: 'cms token alone, key in the keyring',
    against: 'node',
    target: most(5),
  });
  return cases;
}

async function refreshing(stack: Stack): Promise<Case> {
  const provider = stack.use(await startGrantingProvider('https'));
  const { tokenEndpoint, caFile } = provider;
  const home = stack.use(await makeHome({ accounts: 1, tokenEndpoint, ...(caFile !== undefined && { caFile }) }));
  return {
    ...cms(home, 'token', home.address, '--force-refresh'),
    id: 'alone-refresh',
    title: 'cms token alone, refreshed over https',
    against: 'node',
    target: most(4),
  };
}

/** Commands of the framework, as shipped and as the same program without a bundle. */
async function others({ folder }: Setting, stack: Stack): Promise<Case[]> {
  const home = stack.use(await makeHome({ accounts: 3 }));
  const plain = makeUnbundled(join(folder, 'unbundled'));
  const pairs: [string, string[]][] = [
    ['help', ['--help']],
    ['list', ['account', 'list']],
  ];
  return pairs.flatMap(([id, args]) => [
    {
      id: `${id}-unbundled`,
      title: `cms ${args.join(' ')}, without a bundle`,
      argv: [process.execPath, plain, ...args],
      env: home.env,
      against: 'node',
    },
    { ...cms(home, ...args), id, title: `cms ${args.join(' ')}`, against: `${id}-unbundled`, target: most(0.6) },
  ]);
}

function cms({ env }: Home, ...args: string[]): Pick<Case, 'argv' | 'env'> {
  return { argv: [process.execPath, CMS_PROGRAM, ...args], env };
}
