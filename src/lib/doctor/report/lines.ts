/** A check as lines for a terminal. Pure. */
import { wrap } from '../../terminal/width.ts';
import type { Check } from '../check.ts';

/** Below the summaries. */
const DETAIL = ' '.repeat(11);
const DO = `${DETAIL}do: `;
/** Below what is to be done. */
const FURTHER = ' '.repeat(DO.length);

/** First words of what is pasted; everything else is told to people. */
const COMMAND =
  /^(?:(?:cms|sudo|systemctl|kill|ls|cp|mv|rm|mkdir|chmod|namei|export|unset|npm|getent|ping|fuser|timedatectl|openssl|echo|df|date)\b|ip -|(?:Set|Add|Get)-)/;

/** @param word how the status is written, eight columns wide @param columns infinite where nothing is to be broken */
export function linesOf(check: Check, word: string, columns: number): string[] {
  const { id, subject, status, summary, cause, fix = [], who, blockedBy } = check;
  const what = [id, subject].filter((each) => each !== '').join(' ');
  const said = summary.startsWith(`${subject}: `) ? summary.slice(subject.length + 2) : summary;
  const head = wrap(`  ${word} ${what}: ${said}`, columns, DETAIL);
  if (status === 'ok' || blockedBy !== undefined) return [head];
  return [
    head,
    ...(cause === undefined ? [] : [wrap(DETAIL + cause, columns, DETAIL)]),
    ...fix.flatMap((line) => fixLines(line, columns)),
    ...(who === undefined || who === 'you' || status === 'skipped' ? [] : [`${DETAIL}who: ${who}`]),
  ];
}

/** A command stays on one line, however long: a shell would run the half of it that comes before a line break. */
function fixLines(line: string, columns: number): string[] {
  const [, command = line, remark] = /^(.*?) {2,}(#.*)$/.exec(line) ?? [];
  const whole = remark === undefined ? command : `${command}   ${remark}`;
  if (DO.length + whole.length <= columns) return [DO + whole];
  if (!COMMAND.test(command)) return [wrap(DO + whole, columns, FURTHER)];
  return [DO + command, ...(remark === undefined ? [] : [wrap(FURTHER + remark, columns, `${FURTHER}# `)])];
}
