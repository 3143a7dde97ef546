/** Ten thousand accounts beside one, or beside ten. */
import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { CMS_PROGRAM } from '../../test/support/environment.ts';
import { start } from '../../test/support/processes.ts';
import { type Figure, figureOf, type Findings, median } from '../figures.ts';
import { addressNumber, answerBytes, type Home, makeHome } from '../home.ts';
import { putLoad } from '../load.ts';
import { startGrantingProvider } from '../provider.ts';
import { ask, memoryOf, type Server, startCms } from '../servers.ts';
import type { Setting, Suite } from '../setting.ts';
import { Stack } from '../stack.ts';
import { timeCommands } from '../timing.ts';

const MAX_KB_FOR_EACH = 4;

export const many: Suite = { name: 'many', title: 'Ten thousand accounts', measure };

async function measure(setting: Setting): Promise<Findings> {
  await using stack = new Stack();
  const count = setting.pick(200, 10_000);
  const tokenEndpoint = stack.use(await startGrantingProvider('http')).tokenEndpoint;
  const homes = {
    one: stack.use(await makeHome({ accounts: 1 })),
    ten: stack.use(await makeHome({ accounts: 10, tokenEndpoint })),
  };
  const all = stack.use(await makeHome({ accounts: count, tokenEndpoint }));
  const figures = [
    await firstAnswer(setting, all, homes.one),
    ...(await lists(setting, all, homes.ten)),
    ...(await serving(setting, all, homes.one)),
    ...(await rotations(all, homes.ten)),
    ...limits(setting, all),
  ];
  return { figures, leftOut: [], plots: {} };
}

function named({ accounts }: Home): string {
  return accounts.length === 1 ? '1 account' : `${accounts.length.toLocaleString('en')} accounts`;
}

/** What no program in Node can do without that has its accounts in one file and each grant in one of its own. */
function limits({ pick }: Setting, home: Home): Figure[] {
  const { paths } = home.context;
  const timed = (work: () => void): number[] =>
    Array.from({ length: pick(1, 9) }, () => {
      const began = performance.now();
      work();
      return performance.now() - began;
    });
  const names = readdirSync(paths.vaultDir).map((name) => join(paths.vaultDir, name));
  const buffer = Buffer.allocUnsafe(16_384);
  return [
    figureOf({
      id: 'many.limit-accounts',
      title: `reading and parsing accounts.json alone, ${named(home)}`,
      unit: 'ms',
      values: timed(() => void JSON.parse(readFileSync(paths.accountsFile, 'utf8'))),
    }),
    figureOf({
      id: 'many.limit-grants',
      title: `opening, reading and closing as many files, ${named(home)}`,
      unit: 'ms',
      values: timed(() => {
        for (const name of names) {
          const file = openSync(name, 'r');
          readSync(file, buffer);
          closeSync(file);
        }
      }),
    }),
  ];
}

async function firstAnswer({ pick }: Setting, all: Home, one: Home): Promise<Figure> {
  const times: Record<'all' | 'one', number[]> = { all: [], one: [] };
  for (let round = 0; round < pick(1, 9); round++) {
    times.all.push(await timeToFirstAnswer(all));
    times.one.push(await timeToFirstAnswer(one));
  }
  return figureOf({
    id: 'many.first-answer',
    title: `from the start of the broker to its first token, ${named(all)}`,
    unit: 'ms',
    values: times.all,
    reference: { title: named(one), values: times.one },
    target: { of: 'ratio', most: 1.5 },
  });
}

async function timeToFirstAnswer(home: Home): Promise<number> {
  // Somebody in the middle: neither the first nor the last that is read.
  const address = addressNumber(Math.floor(home.accounts.length / 2));
  const began = performance.now();
  await using broker = start(process.execPath, [CMS_PROGRAM, 'serve'], { env: home.env });
  for (;;) {
    const answer = await ask(home.socket, `SMTP ${address}`);
    if (answer?.length === answerBytes(address)) return performance.now() - began;
    if (!broker.running) throw new Error(`the broker ended: ${broker.stderr}`);
    await sleep(1);
  }
}

/** Commands that look at all accounts, without a broker. */
async function lists(setting: Setting, all: Home, ten: Home): Promise<Figure[]> {
  const argvs: [string, string[], number[]][] = [
    ['account-list', ['account', 'list'], [0]],
    // 69: no broker runs.
    ['status', ['status'], [69]],
    ['exim-config', ['exim-config', '--section', 'smart-hosts'], [0]],
  ];
  const commands = argvs.flatMap(([id, args, statuses]) =>
    [all, ten].map((home) => ({
      id: `${id} ${named(home)}`,
      argv: [process.execPath, CMS_PROGRAM, ...args],
      env: home.env,
      statuses,
    })),
  );
  const timed = timeCommands(commands, setting.pick(1, 9), setting.tools);
  const values = (id: string, home: Home): number[] => timed.get(`${id} ${named(home)}`)?.times ?? [];
  return argvs.map(([id, args]) =>
    figureOf({
      id: `many.${id}`,
      title: `cms ${args.join(' ')}, ${named(all)}`,
      unit: 'ms',
      values: values(id, all),
      reference: { title: named(ten), values: values(id, ten) },
      target: { of: 'ratio', most: 2 },
    }),
  );
}

async function serving(setting: Setting, all: Home, one: Home): Promise<Figure[]> {
  await using stack = new Stack();
  const [big, small] = [stack.use(await startCms(all)), stack.use(await startCms(one))];
  await everythingRead(big, all);
  // V8 gives back what reading them has left behind once there has been nothing to do for some 8 s.
  await sleep(setting.pick(2000, 15_000));
  const rss = { big: memoryOf(big.pid).rssMB, small: memoryOf(small.pid).rssMB };
  const perSecond: { big: number[]; small: number[] } = { big: [], small: [] };
  for (let round = 0; round < setting.pick(1, 7); round++) {
    perSecond.big.push(await throughput(setting, big, all));
    perSecond.small.push(await throughput(setting, small, one));
  }
  const status = await timeStatus(setting, big);
  return [
    {
      id: 'many.memory',
      title: `resident for each account, ${named(all)}`,
      unit: 'kB',
      value: ((rss.big - rss.small) * 1024) / (all.accounts.length - 1),
      reference: { title: 'resident, 1 account, MB', value: rss.small },
      target: { of: 'value', most: MAX_KB_FOR_EACH },
      note: `${rss.big.toFixed(0)} MB in all, with tokens of 2,000 and refresh tokens of 1,000 bytes`,
    },
    figureOf({
      id: 'many.throughput',
      title: `requests a second, 16 clients, ${named(all)}`,
      unit: '/s',
      values: perSecond.big,
      reference: { title: named(one), values: perSecond.small },
      target: { of: 'ratio', least: 0.9 },
      best: 'most',
    }),
    figureOf({
      id: 'many.status-answer',
      title: `the broker answers STATUS, ${named(all)}`,
      unit: 'ms',
      values: status,
    }),
  ];
}

/** The ticker reads all grants, beginning with the first. */
async function everythingRead(server: Server, home: Home): Promise<void> {
  for (;;) {
    const { accounts } = JSON.parse((await ask(server.socket, 'STATUS')) ?? '{"accounts":[]}') as Status;
    if (accounts.length === home.accounts.length && accounts.every(({ state }) => state !== 'unknown')) break;
    if (!server.process.running) throw new Error(`the broker ended: ${server.process.stderr}`);
    await sleep(500);
  }
}

interface Status {
  accounts: { state: string }[];
}

async function throughput({ pick, tools }: Setting, server: Server, home: Home): Promise<number> {
  const load = { request: `SMTP ${home.address}`, answerBytes: answerBytes(home.address), clients: 16 };
  return (await putLoad(server, { ...load, requests: pick(500, 10_000) }, tools)).perSecond;
}

async function timeStatus({ pick }: Setting, { socket }: Server): Promise<number[]> {
  const times: number[] = [];
  for (let round = 0; round < pick(1, 9); round++) {
    const began = performance.now();
    await ask(socket, 'STATUS');
    times.push(performance.now() - began);
  }
  return times;
}

/** What one rotation changes on the disk: as many files, as many bytes. */
async function rotations(all: Home, ten: Home): Promise<Figure[]> {
  const [big, small] = [await rotate(all), await rotate(ten)];
  const figures = [
    { id: 'many.rotation-files', title: 'files that a rotation changes', unit: 'files', of: 'files' as const },
    { id: 'many.rotation-bytes', title: 'bytes in those files', unit: 'bytes', of: 'bytes' as const },
  ];
  return figures.map(({ of, title, ...rest }) => ({
    ...rest,
    title: `${title}, ${named(all)}`,
    value: median(big.map((each) => each[of])),
    reference: { title: named(ten), value: median(small.map((each) => each[of])) },
    ratio: median(big.map((each) => each[of])) / median(small.map((each) => each[of])),
    target: { of: 'ratio', most: 1.01, least: 0.99 },
  }));
}

async function rotate(home: Home): Promise<Change[]> {
  await using server = await startCms(home);
  const changes: Change[] = [];
  // The first one makes the lock file of the account; nobody asks for the others meanwhile.
  await everythingRead(server, home);
  await sleep(2000);
  for (let turn = 0; turn < 4; turn++) {
    const before = filesIn(home.folders);
    const answer = await ask(server.socket, `REFRESH ${home.address}`);
    if (answer?.includes('expires_at') !== true) throw new Error(`not refreshed: ${answer ?? 'no answer'}`);
    await sleep(300);
    if (turn > 0) changes.push(changeBetween(before, filesIn(home.folders)));
  }
  return changes;
}

interface Change {
  files: number;
  bytes: number;
}

type Listing = Map<string, { stamp: string; size: number }>;

function filesIn(folders: readonly string[]): Listing {
  const paths = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  );
  return new Map(
    paths.flatMap((path) => {
      const { ino, mtimeMs, size } = statSync(path);
      return statSync(path).isFile() ? [[path, { stamp: `${ino} ${mtimeMs}`, size }] as const] : [];
    }),
  );
}

function changeBetween(before: Listing, after: Listing): Change {
  const changed = [...after].filter(([path, { stamp }]) => before.get(path)?.stamp !== stamp);
  return { files: changed.length, bytes: changed.reduce((sum, [, { size }]) => sum + size, 0) };
}
