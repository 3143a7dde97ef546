/** The socket under load, beside a bare server in Node and what the machine can do at most. */
import { figureOf, type Figure, type Findings, type LeftOut, median, type Series } from '../figures.ts';
import { answerBytes, makeHome } from '../home.ts';
import { type Measured, putLoad } from '../load.ts';
import { ANCESTOR, OIDC_AGENT, startAncestor, startOidcAgent } from '../rivals.ts';
import { type Server, startBareNode, startCms, startEpoll } from '../servers.ts';
import type { Setting, Suite } from '../setting.ts';
import { Stack } from '../stack.ts';

const CLIENTS = [1, 16, 128, 1000];
const SILENT = [1, 100, 3000];
/** Clients that ask beside the silent ones. */
const BESIDE = 16;

export const socket: Suite = { name: 'socket', title: 'The socket under load', measure };

async function measure(setting: Setting): Promise<Findings> {
  await using stack = new Stack();
  const home = stack.use(await makeHome({ accounts: 1 }));
  const bytes = answerBytes(home.address);
  const cms = stack.use(await startCms(home));
  const bare = stack.use(await startBareNode(setting.folder, bytes));
  const epoll = await startEpoll(setting.folder, bytes, setting.tools);
  if (epoll !== undefined) stack.use(epoll);
  const { checkout } = ANCESTOR;
  const ancestor =
    checkout === undefined ? undefined : stack.use(await startAncestor(setting.folder, checkout, home.address));
  const oidcAgent = await startOidcAgent(setting.folder);
  if (oidcAgent !== undefined) stack.use(oidcAgent);
  const load = { request: `SMTP ${home.address}`, answerBytes: bytes };
  for (const server of [cms, bare])
    await putLoad(server, { ...load, requests: setting.pick(500, 20_000), clients: 16 }, setting.tools);

  const servers = [bare, cms, epoll, ancestor, oidcAgent].flatMap((server) => server ?? []);
  const runs = await inRounds(setting, servers, CLIENTS, (server, clients) =>
    putLoad(server, { ...load, clients, requests: requestsFor(clients, setting) }, setting.tools),
  );
  const silent = await inRounds(setting, [cms], [0, ...SILENT], (server, count) =>
    putLoad(server, { ...load, clients: BESIDE, silent: count, requests: setting.pick(500, 10_000) }, setting.tools),
  );
  return {
    figures: [
      ...CLIENTS.flatMap((clients) => figuresAt(clients, runs, { cms, bare, others: [epoll, oidcAgent] })),
      ...besideAncestor(runs, cms, ancestor),
      ...besideSilent(silent, cms),
    ],
    leftOut: [
      ...(epoll === undefined ? [NO_COMPILER] : []),
      ...(ancestor === undefined ? [absent('ancestor', ANCESTOR)] : []),
      ...(oidcAgent === undefined ? [absent('oidc-agent', OIDC_AGENT)] : []),
    ],
    plots: {
      throughput: seriesOf(servers, runs, ({ perSecond }) => perSecond),
      latency: seriesOf(servers, runs, ({ p99 }) => p99 / 1000),
    },
  };
}

const NO_COMPILER: LeftOut = {
  id: 'socket.epoll',
  title: 'a C server, and a load generator in C',
  reason: 'no C compiler: the load comes from Node, which takes longer to ask than the servers to answer',
};

function absent(id: string, { server, missing }: { server: string; missing: string }): LeftOut {
  return { id: `socket.${id}`, title: server, reason: missing };
}

function requestsFor(clients: number, { pick }: Setting): number {
  return Math.max(pick(300, clients === 1 ? 4000 : 10_000), 2 * clients);
}

type Runs = Map<string, Measured[]>;

async function inRounds(
  { pick }: Setting,
  servers: readonly Server[],
  sizes: readonly number[],
  once: (server: Server, size: number) => Promise<Measured>,
): Promise<Runs> {
  const runs: Runs = new Map();
  for (let round = 0; round < pick(1, 7); round++) {
    for (const size of sizes) {
      for (const server of servers) {
        const key = keyOf(server, size);
        runs.set(key, [...(runs.get(key) ?? []), await once(server, size)]);
      }
    }
  }
  return runs;
}

function keyOf({ name }: Server, size: number): string {
  return `${name} ${size}`;
}

interface Contenders {
  cms: Server;
  bare: Server;
  /** Told beside. */
  others: (Server | undefined)[];
}

function figuresAt(clients: number, runs: Runs, { cms, bare, others }: Contenders): Figure[] {
  const of = (server: Server, what: keyof Measured): number[] =>
    (runs.get(keyOf(server, clients)) ?? []).map((each) => each[what]);
  const who = counted(clients);
  const compared = (what: keyof Measured) => ({
    values: of(cms, what),
    reference: { title: bare.name, values: of(bare, what) },
  });
  const beside = others
    .flatMap((server) => server ?? [])
    .map((server) => `; ${server.name}: ${Math.round(median(of(server, 'perSecond')))}/s`);
  const p50 = median(of(cms, 'p50'));
  return [
    figureOf({
      id: `socket.throughput-${clients}`,
      title: `requests a second, ${who}`,
      unit: '/s',
      ...compared('perSecond'),
      target: { of: 'ratio', least: 0.9 },
      best: 'most',
      note: `p50 ${Math.round(p50)} µs${beside.join('')}`,
    }),
    figureOf({
      id: `socket.p99-${clients}`,
      title: `p99 latency, ${who}`,
      unit: 'µs',
      ...compared('p99'),
      target: { of: 'ratio', most: 1.2 },
    }),
    figureOf({ id: `socket.cpu-${clients}`, title: `processor for a request, ${who}`, unit: 'µs', ...compared('cpu') }),
  ];
}

/** Node 20 takes twice the time of later ones for each connection. */
const ANCESTOR_RATIO = Number(process.versions.node.split('.')[0]) < 22 ? 1.4 : 2;

function besideAncestor(runs: Runs, cms: Server, ancestor: Server | undefined): Figure[] {
  if (ancestor === undefined) return [];
  const throughput = (server: Server, clients: number): number[] =>
    (runs.get(keyOf(server, clients)) ?? []).map(({ perSecond }) => perSecond);
  return CLIENTS.map((clients) =>
    figureOf({
      id: `socket.ancestor-${clients}`,
      title: `requests a second, ${counted(clients)}`,
      unit: '/s',
      values: throughput(cms, clients),
      reference: { title: ancestor.name, values: throughput(ancestor, clients) },
      target: { of: 'ratio', least: ANCESTOR_RATIO },
      best: 'most',
    }),
  );
}

function counted(clients: number): string {
  return clients === 1 ? '1 client' : `${clients} clients`;
}

function besideSilent(runs: Runs, cms: Server): Figure[] {
  const throughput = (count: number): number[] => (runs.get(keyOf(cms, count)) ?? []).map(({ perSecond }) => perSecond);
  return SILENT.map((count) =>
    figureOf({
      id: `socket.silent-${count}`,
      title: `requests a second, ${BESIDE} clients beside ${count} silent`,
      unit: '/s',
      values: throughput(count),
      reference: { title: 'without the silent ones', values: throughput(0) },
      target: { of: 'ratio', least: 0.9 },
      best: 'most',
    }),
  );
}

function seriesOf(servers: readonly Server[], runs: Runs, pick: (run: Measured) => number): Series[] {
  return servers.map((server) => ({
    name: server.name,
    points: CLIENTS.map((clients) => {
      const values = (runs.get(keyOf(server, clients)) ?? []).map(pick);
      return { x: clients, y: median(values) };
    }),
  }));
}
