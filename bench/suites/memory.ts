/** What the broker's process takes, at rest and after work. */
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { figureOf, type Figure, type Findings } from '../figures.ts';
import { answerBytes, makeHome } from '../home.ts';
import { putLoad } from '../load.ts';
import { type Memory, memoryOf, type Server, startBareNode, startCms } from '../servers.ts';
import type { Setting, Suite } from '../setting.ts';

/** Until what the start left behind has been used: the first ticks, the first look at the accounts. */
const SETTLE_MS = 1500;
const MAX_AFTER_LOAD_MB = 60;
/** V8 gives memory back once there has been nothing to do for some 8 s. */
const REST_MS = 15_000;

export const memory: Suite = { name: 'memory', title: 'Memory', measure };

interface Life {
  idle: Memory;
  afterLoad: Memory;
  /** Some time later. */
  atRest: Memory;
}

async function measure(setting: Setting): Promise<Findings> {
  const lives: { cms: Life[]; bare: Life[] } = { cms: [], bare: [] };
  const requests = setting.pick(5000, 100_000);
  await using home = await makeHome({ accounts: 1 });
  const bytes = answerBytes(home.address);
  const load = { request: `SMTP ${home.address}`, answerBytes: bytes, requests, clients: 128 };
  const rest = setting.pick(0, REST_MS);
  for (let round = 0; round < setting.pick(1, 3); round++) {
    lives.cms.push(await live(await startCms(home), rest, (server) => putLoad(server, load, setting.tools)));
    const bare = await startBareNode(await mkdtemp(join(setting.folder, 'bare-')), bytes);
    lives.bare.push(await live(bare, rest, (server) => putLoad(server, load, setting.tools)));
  }
  return { figures: figuresOf(lives, requests), leftOut: [], plots: {} };
}

async function live(server: Server, restMs: number, work: (server: Server) => Promise<unknown>): Promise<Life> {
  await using _server = server;
  await sleep(SETTLE_MS);
  const idle = memoryOf(server.pid);
  await work(server);
  const afterLoad = memoryOf(server.pid);
  await sleep(restMs);
  return { idle, afterLoad, atRest: memoryOf(server.pid) };
}

function figuresOf({ cms, bare }: { cms: Life[]; bare: Life[] }, requests: number): Figure[] {
  const rss = (lives: Life[], when: keyof Life): number[] => lives.map((life) => life[when].rssMB);
  const pss = (lives: Life[], when: keyof Life): number[] => lives.flatMap((life) => life[when].pssMB ?? []);
  const after = `after ${requests.toLocaleString('en')} requests`;
  const title = 'bare node:net';
  const figures = [
    figureOf({
      id: 'memory.idle',
      title: 'resident, idle',
      unit: 'MB',
      values: rss(cms, 'idle'),
      reference: { title, values: rss(bare, 'idle') },
      target: { of: 'ratio', most: 1.25 },
    }),
    figureOf({
      id: 'memory.after-load',
      title: `resident, ${after}`,
      unit: 'MB',
      values: rss(cms, 'afterLoad'),
      reference: { title, values: rss(bare, 'afterLoad') },
      target: { of: 'value', most: MAX_AFTER_LOAD_MB },
    }),
    figureOf({
      id: 'memory.at-rest',
      title: 'resident, some seconds after that',
      unit: 'MB',
      values: rss(cms, 'atRest'),
      reference: { title, values: rss(bare, 'atRest') },
    }),
  ];
  if (pss(cms, 'idle').length === 0) return figures;
  const proportional = (['idle', 'afterLoad'] as const).map((when) =>
    figureOf({
      id: `memory.pss-${when === 'idle' ? 'idle' : 'after-load'}`,
      title: `proportional, ${when === 'idle' ? 'idle' : after}`,
      unit: 'MB',
      values: pss(cms, when),
      reference: { title, values: pss(bare, when) },
    }),
  );
  return [...figures, ...proportional];
}
