/** Random and mutated requests, and what may be answered to them: an oracle that shares no code with the broker. */
import { Buffer } from 'node:buffer';

const FORMS = ['token', 'xoauth2-b64', 'oauthbearer', 'password', 'json', 'ready'];
const OPTIONS = [
  'minvalid=60',
  'minvalid=-1',
  'wait=3',
  'wait=x',
  'host=mail.example',
  'port=587',
  'port=99999',
  'x',
  '',
];
const LINE_ENDS = ['', '\n', '\r\n', '\n\n', '\r', '\nSMTP x@y.z\n'];

/** A generator of its own for each case, so that one case can be made again. */
function mulberry32(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** The request as text of one character a byte. */
export function fuzzCase(seed, index, addresses) {
  const random = mulberry32(Math.imul(seed, 0x9e3779b1) ^ index);
  const below = (most) => Math.floor(random() * most);
  const one = (list) => list[below(list.length)];
  const bytes = (count) => Array.from({ length: count }, () => String.fromCharCode(below(256))).join('');
  const valid = () => {
    const options = Array.from({ length: below(4) }, () => one(random() < 0.5 ? FORMS : OPTIONS));
    return `${[one(['SMTP', 'IMAP', 'POP', 'smtp', 'HTTP']), ...options].join(',')} ${one(addresses)}${one(LINE_ENDS)}`;
  };
  const kind = below(10);
  if (kind === 0) return bytes(below(80));
  if (kind === 1) return bytes(400 + below(300));
  if (kind === 2) return one(['STATUS', 'RELOAD', `REFRESH ${one(addresses)}`]) + one(LINE_ENDS);
  if (kind <= 4) return valid();
  let text = valid();
  for (let changes = 1 + below(3); changes > 0; changes--) text = mutate(text, below, bytes);
  return text;
}

function mutate(text, below, bytes) {
  const at = below(text.length + 1);
  switch (below(5)) {
    case 0:
      return text.slice(0, at) + bytes(1) + text.slice(at + 1);
    case 1:
      return text.slice(0, at) + text.slice(at + 1 + below(3));
    case 2:
      return text.slice(0, at) + bytes(1 + below(4)) + text.slice(at);
    case 3:
      return text.slice(0, at) + text.slice(below(text.length + 1));
    default:
      return text.slice(0, at) + 'A'.repeat(below(600)) + text.slice(at);
  }
}

/**
 * What is wrong with an answer, or undefined. `facts` has the addresses and the answers that each may get.
 * A connection that was cut (`!…`, or empty) is always right for a request that is too long or not in the grammar.
 */
export function judge(request, answer, { known, token }) {
  if (answer.startsWith('!')) return `cannot connect: ${answer}`;
  const line = /^[^\n]*/.exec(request)[0].replace(/\r$/, request.includes('\n') ? '' : '\r');
  const parts = /^(SMTP|IMAP)((?:,[^ ]*)?) ([^ ]+)$/i.exec(line);
  // The bytes as text, and letters that IDNA takes for ASCII ones as those.
  const address = Buffer.from(parts?.[3] ?? '', 'latin1')
    .toString('utf8')
    .normalize('NFKC')
    .toLowerCase();
  if (answer === '') {
    const plain = /^(SMTP|IMAP) /.test(line) && known.includes(parts?.[3] ?? '') && line.length < 100;
    return plain ? `nothing for the good request ${JSON.stringify(request)}` : undefined;
  }
  if (!parts && !/^POP/.test(line)) return `${JSON.stringify(request)} was answered ${JSON.stringify(answer)}`;
  if (answer.includes(token) || Buffer.from(answer, 'base64').includes(token)) {
    if (!known.includes(address)) return `the token for ${JSON.stringify(request)}`;
    const wire = `user=${address}\x01auth=Bearer ${token}\x01\x01`;
    const bearer = new RegExp(`^n,a=${address},\\x01(?:host=[a-z0-9.-]+\\x01)?(?:port=\\d+\\x01)?auth=Bearer `, 'i');
    const exact =
      answer === wire ||
      answer === token ||
      answer === Buffer.from(wire).toString('base64') ||
      (bearer.test(answer) && answer.endsWith(`auth=Bearer ${token}\x01\x01`)) ||
      isTokenJson(answer, token);
    return exact ? undefined : `${JSON.stringify(request)} was answered ${JSON.stringify(answer)}`;
  }
  const reason = /,json/.test(line) ? isErrorJson(answer) : false;
  const sentence = /,ready/.test(line) && /^[\x20-\x7e]+$/.test(answer);
  return reason || sentence ? undefined : `${JSON.stringify(request)} was answered ${JSON.stringify(answer)}`;
}

/** JSON is UTF-8 (RFC 8259 section 8.1); the answer has a character a byte. */
function isErrorJson(answer) {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(answer, 'latin1'));
    const { error, error_description: description } = JSON.parse(text);
    return /^[a-z_]+$/.test(error) && typeof description === 'string' && !/[\u0000-\u001f\u007f]/.test(text);
  } catch {
    return false;
  }
}

function isTokenJson(answer, token) {
  try {
    return JSON.parse(answer).access_token === token;
  } catch {
    return false;
  }
}
