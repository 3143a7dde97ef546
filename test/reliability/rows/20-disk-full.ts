import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../support/processes.ts';
import { JANE, type Row, Checks, Site } from '../harness.ts';
import { nothingLost } from '../lost.ts';

const PAGE = 4096;
const PAGES = 32;
/** Ext4 wants room for itself. */
const EXT4_KIB = 1024;

export const root = async (...argv: string[]): Promise<number | null> => {
  const [file = '', ...args] = process.getuid?.() === 0 ? argv : ['sudo', '-n', ...argv];
  return (await run(file, args, { env: { PATH: process.env.PATH } })).status;
};

export const diskFull: Row = {
  number: 20,
  title: 'disk full, free space in steps of 4 KiB',
  target: 'error said, old file whole, no temporary file, broker up, nothing lost',
  needs: ['mount'],
  async run(scale) {
    const checks = new Checks();
    const steps = scale.pick(4, PAGES);
    const tmpfs = await sweep('tmpfs', steps, checks);
    const ext4 = await sweep('ext4', steps, checks);
    return checks.measured(
      `${steps} steps each: tmpfs ${tmpfs?.refused} refused, ${tmpfs?.written} written; ` +
        (ext4 === undefined ? 'ext4 cannot be mounted here' : `ext4 ${ext4.refused} refused, ${ext4.written} written`),
    );
  },
};

async function sweep(kind: 'tmpfs' | 'ext4', steps: number, checks: Checks) {
  await using site = await Site.open();
  const { stateDir } = site.home;
  const aside = join(site.home.path, 'aside');
  await run('cp', ['-a', stateDir, aside]);
  if (!(await mount(kind, site))) return undefined;
  try {
    await run('cp', ['-a', `${aside}/.`, stateDir]);
    const broker = await site.serve();
    await site.ask(`SMTP ${JANE}`);
    const tally = { refused: 0, written: 0 };
    for (let step = 0; step < steps; step++) {
      leaveFree(stateDir, step);
      const before = (await site.onDisk()).secrets.refresh_token;
      const error = await site.refresh();
      if (error === undefined) tally.written++;
      else tally.refused++;
      checks.that(error === undefined || error === 'io_error', `${kind}, ${step} pages free: ${error}`);
      const after = (await site.onDisk()).secrets.refresh_token;
      checks.that(error === undefined || after === before, `${kind}, ${step} pages free: the file changed`);
      const litter = readdirSync(site.vaultDir).filter((name) => name.includes('.tmp-'));
      checks.that(litter.length === 0, `${kind}, ${step} pages free: ${litter.length} temporary files`);
      checks.that((await site.ask(`SMTP ${JANE}`)) !== '', `${kind}, ${step} pages free: a live token is not served`);
    }
    rmSync(join(stateDir, 'filler'), { recursive: true, force: true });
    checks.that(tally.refused > 0, `${kind}: no step was refused`);
    checks.that((await site.refresh()) === undefined, `${kind}: no refresh once there is room`);
    await broker.stop();
    checks.all((await nothingLost(site)).problems);
    return tally;
  } finally {
    await root('umount', '--lazy', stateDir);
  }
}

export async function mount(kind: 'tmpfs' | 'ext4', site: Site): Promise<boolean> {
  const { stateDir } = site.home;
  const owner = `uid=${process.getuid?.() ?? 0},gid=${process.getgid?.() ?? 0},mode=0700`;
  if (kind === 'tmpfs') return (await root('mount', '-t', 'tmpfs', '-o', `size=256k,${owner}`, 'none', stateDir)) === 0;
  const image = join(site.home.path, 'image');
  const made = await run('/sbin/mkfs.ext4', ['-q', '-m', '0', '-O', '^has_journal', image, `${EXT4_KIB}`]).catch(
    () => undefined,
  );
  if (made?.status !== 0 || (await root('mount', '-o', 'loop', image, stateDir)) !== 0) return false;
  await root('chown', `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`, stateDir);
  await root('rmdir', join(stateDir, 'lost+found'));
  await root('chmod', '0700', stateDir);
  return true;
}

/** Fills the file system to the last page, then gives `pages` back. */
export function leaveFree(folder: string, pages: number): void {
  const fillers = join(folder, 'filler');
  rmSync(fillers, { recursive: true, force: true });
  mkdirSync(fillers, { mode: 0o700 });
  let count = 0;
  try {
    for (; ; count++) writeFileSync(join(fillers, String(count)), Buffer.alloc(PAGE, 1), { mode: 0o600 });
  } catch {
    rmSync(join(fillers, String(count)), { force: true });
  }
  for (let i = 1; i <= pages; i++) rmSync(join(fillers, String(count - i)), { force: true });
}
