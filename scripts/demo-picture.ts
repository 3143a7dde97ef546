/** The picture of `npm run demo`, from what it really prints. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { terminalSvg } from './svg.ts';

/** The steps that tell the story; the others are left out of the picture, not out of the demo. */
const STEPS = ['Sign in, once', 'Take a token', 'Send a message through exim', 'What the mail server received'];

export function demoPicture(): string {
  return terminalSvg('npm run demo: a sign-in, a token, and a message sent through exim', selectSteps(runDemo()));
}

function runDemo(): string {
  const demo = fileURLToPath(new URL('../demo/main.ts', import.meta.url));
  const env = { ...process.env, FORCE_COLOR: '1', TSX_DISABLE_CACHE: '1' };
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', demo], { env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`the demo ended with ${String(status)}: ${stderr}`);
  return stdout;
}

/** The lines of the steps that are shown, with a blank line between them. */
function selectSteps(output: string): string[] {
  const parts = output
    .trimEnd()
    .split(/\n(?=\n\u001b\[1m)/)
    .map((part) => part.trim());
  const shown = parts.filter((part) => STEPS.some((title) => part.split('\n')[0]?.includes(title)));
  if (shown.length !== STEPS.length)
    throw new Error(`of the steps ${STEPS.join(', ')} only ${shown.length} took place`);
  return [
    '\u001b[36m$ npm run demo\u001b[0m',
    '\u001b[2m…\u001b[0m',
    ...shown.flatMap((part) => [...part.split('\n'), '']),
  ].slice(0, -1);
}
