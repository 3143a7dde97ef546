/**
 * Draws docs/*.svg from sessions that take place while it draws: the real cms in a real terminal, against a provider and
 * mail servers on loopback. `npm run pictures`, or `npm run pictures -- status` for those that are named.
 *
 * A session is a row of SESSIONS; ports, process ids and names of hosts, which differ each time, are replaced.
 */
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CMS_PROGRAM, spawnCms } from '../test/support/environment.ts';
import { startWorld, type World } from '../test/support/world.ts';
import { demoPicture } from './demo-picture.ts';
import { terminalSvg } from './svg.ts';
import { Tmux } from './tmux.ts';

/** A question of the program, and what is typed before Enter. */
type Answer = readonly [question: RegExp, answer: string];

interface Session {
  name: string;
  title: string;
  /** As typed, and as shown. */
  command: string;
  answers?: (world: World) => readonly Answer[];
  /** What happens to the world meanwhile. @returns how it is undone */
  harm?: (world: World) => () => void;
  /** The last thing to be seen. */
  end: RegExp;
}

const JANE = 'jane@example.org';
const SESSIONS: readonly Session[] = [
  {
    name: 'account-add',
    title: 'cms account add asks for the provider, signs in and logs in at the mail servers',
    command: 'cms account add',
    answers: ({ provider }) => [
      [/Mail address:/, JANE],
      [/Which provider/, 'another'],
      [/issuer[^:\n]*:/, provider.issuer],
      [/Client id:/, provider.clientId],
      [/Client secret[^:\n]*:/, ''],
      [/key of the vault/, 'file'],
    ],
    end: /IMAP .* accepted/,
  },
  {
    name: 'status',
    title: 'cms status shows the broker, its sockets and the accounts',
    command: 'cms status',
    end: /OK .*ago[^]*SOCKET[^]*you/,
  },
  {
    name: 'account-test',
    title: 'cms account test logs in at each mail server, step by step',
    command: `cms account test ${JANE}`,
    end: /imap[^]*login +.*/i,
  },
  {
    name: 'doctor',
    title: 'cms doctor walks every link, names the one that is broken, who can fix it and how',
    command: 'cms doctor',
    harm: ({ submission }) => {
      submission.refuse(
        '*',
        '535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.',
      );
      return () => submission.refuse('*', undefined);
    },
    end: /\d failure/,
  },
];

const COLUMNS = 88;
const PROMPT = '\u001b[32m$\u001b[0m ';

/** Names for what is on loopback here. */
function masked(line: string, { provider, submission, imap, home }: World): string {
  return line
    .replaceAll(provider.issuer, 'https://login.example.org')
    .replaceAll(new URL(provider.issuer).host, 'login.example.org')
    .replace(/(?<=provider\.name .*: )is an address/, '192.0.2.10')
    .replace(/(?<=IPv4 )127\.0\.0\.1/, '192.0.2.10')
    .replaceAll(`localhost:${submission.port}`, 'smtp.example.org:587')
    .replaceAll(`localhost:${imap.port}`, 'imap.example.org:993')
    .replaceAll(`127.0.0.1 port ${submission.port}`, '192.0.2.25 port 587')
    .replaceAll(`127.0.0.1 port ${imap.port}`, '192.0.2.25 port 993')
    .replace(/(?<=resolve +ok +)127\.0\.0\.1/, '192.0.2.25')
    .replace(/127\.0\.0\.1:\d+/g, '127.0.0.1:43210')
    .replace(/(valid until) [\d-]+/g, '$1 2027-01-31')
    .replace(/\bpid \d+/g, 'pid 4711')
    .replace(/up since [^()]*\(\d+ \w+\)/g, 'up since 2027-01-01 12:00 UTC (3 s)')
    .replace(/\b\d+ s ago/g, '3 s ago')
    .replace(/\b\d+ ms\b/g, '20 ms')
    .replace(/\b[0-9a-f]{16}\b/g, '0123456789abcdef')
    .replaceAll(`${home.runtimeDir}/`, '/run/user/1000/cms/')
    .replaceAll(home.configDir, '~/.config/cms')
    .replaceAll(home.stateDir, '~/.local/state/cms')
    .replaceAll(`${home.path}/`, '~/');
}

/** Whole addresses of pages are no use in a picture. */
function shortened(line: string): string {
  return line.length > COLUMNS && /^\S*https?:/.test(line) ? `${line.slice(0, COLUMNS - 1)}…` : line;
}

async function record(session: Session, world: World, terminal: Tmux): Promise<string> {
  const undo = session.harm?.(world);
  terminal.clear();
  terminal.type(session.command);
  terminal.enter();
  for (const [question, answer] of session.answers?.(world) ?? []) {
    await terminal.waitFor(question);
    terminal.type(answer);
    if (answer === 'another') await terminal.waitFor(/❯ another/);
    terminal.enter();
  }
  await terminal.waitFor(session.end);
  // The prompt comes when the program has ended.
  await terminal.waitFor(/\n\$ *$/);
  undo?.();
  const screen = terminal.screen().map((line) => shortened(masked(line, world)));
  const first = screen.findIndex((line) => line.includes(session.command));
  const lines = [`${PROMPT}${session.command}`, ...screen.slice(first + 1, -1)];
  return terminalSvg(session.title, lines);
}

/** `cms` with the ports of these servers, which a person need not give. */
async function personsFolder(world: World): Promise<string> {
  const bin = join(world.home.home, 'bin');
  await mkdir(bin);
  await symlink(CMS_PROGRAM, join(bin, 'real-cms'));
  const flags = ['--smtp-host', 'localhost', '--smtp-port', String(world.submission.port)];
  flags.push('--imap-host', 'localhost', '--imap-port', String(world.imap.port), '--imap-tls', 'implicit');
  // What comes after the sign-in is another story, and none for this machine's exim.
  flags.push('--no-send', '--no-exim', '--no-service');
  flags.push('--scope', "'openid email offline_access mail.smtp mail.imap'");
  const script = `#!/bin/sh\n[ "$1 $2" = 'account add' ] && set -- "$@" ${flags.join(' ')}\nexec real-cms "$@"\n`;
  await writeFile(join(bin, 'cms'), script, { mode: 0o755 });
  return bin;
}

async function sessions(wanted: readonly Session[]): Promise<void> {
  await using world = await startWorld();
  const bin = await personsFolder(world);
  const env = { ...world.env, CMS_STORE: undefined, CMS_TEST_LOGIN: JANE, PS1: '$ ', TERM: 'xterm-256color' };
  const path = `${bin}:${process.env.PATH ?? ''}`;
  using terminal = new Tmux(join(world.home.path, 'tmux'), { ...env, PATH: path }, world.home.home, COLUMNS);
  await terminal.waitFor(/\$/);
  let broker;
  for (const session of SESSIONS) {
    // All of them take place, because one needs what those before it have made.
    const svg = await record(session, world, terminal);
    if (wanted.includes(session)) await save(session.name, svg);
    broker ??= spawnCms(['serve'], { env: world.env });
    await broker.waitFor(/cms\.sock/);
  }
  await broker?.stop();
}

async function save(name: string, svg: string): Promise<void> {
  await writeFile(fileURLToPath(new URL(`../docs/${name}.svg`, import.meta.url)), svg);
  process.stdout.write(`docs/${name}.svg\n`);
}

const named = process.argv.slice(2);
const isWanted = (name: string): boolean => named.length === 0 || named.includes(name);
const wanted = SESSIONS.filter(({ name }) => isWanted(name));
if (wanted.length > 0) await sessions(wanted);
if (isWanted('demo')) await save('demo', demoPicture());
