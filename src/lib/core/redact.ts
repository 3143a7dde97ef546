/**
 * The last net under everything that is said to people: secrets that this process has seen are cut out of a text, in
 * every form that they are likely to take on the way there.
 *
 * This is the one piece of state in the library that belongs to the whole process. A secret and the line that gives it
 * away meet nowhere: the one is read by the vault, the other is put together from a provider's words or a stack. A
 * registry that had to be handed to both would be missing exactly where a developer forgot it.
 *
 * It is bounded: the newest secrets count, which are those that are in use. Nothing is computed for a secret until a
 * line is written, so a process that writes none (`cms token`, a broker that only serves) pays for a set entry.
 */

/** Secrets that are known at once. One account has up to five, so this is a broker of some four hundred accounts. */
const MAX_KNOWN = 2048;
/**
 * Forms are found by their last characters, which differ where the first are the same for all of a provider's tokens.
 * It is also the shortest secret that is looked for: a password of six letters may be a word of the log.
 */
const ANCHOR = 8;
/** Of an encoded form; with less of it the text is as likely to be something else. */
const SHORTEST_FORM = 6;

export const REDACTED = '[secret]';

/** Each secret, and whether its forms are in the index; not until the first line is written after it was made known. */
const known = new Map<string, boolean>();
/** By the hash of an anchor, those whose form ends so: mostly one. Strings as keys would take three times the memory. */
const byAnchor = new Map<number, string | readonly string[]>();
let fresh: string[] = [];

/** Makes a secret known to `redact`. */
export function remember(secret: string): void {
  if (secret.length < ANCHOR) return;
  const isIndexed = known.get(secret);
  if (isIndexed === undefined) fresh.push(secret);
  // The newest are last: a secret that is read again is in use.
  known.delete(secret);
  known.set(secret, isIndexed ?? false);
  if (known.size > MAX_KNOWN) forgetOldest();
}

/**
 * The text without any secret that this process knows. Takes time with the length of the text, whatever the number of
 * secrets: some 10 µs for a line.
 */
export function redact(text: string): string {
  indexFresh();
  if (byAnchor.size === 0) return text;
  const spans: Span[] = [];
  let hash = 0;
  for (let end = 1; end <= text.length; end++) {
    hash = rolled(hash, text, end);
    const owners = end < ANCHOR ? undefined : byAnchor.get(hash);
    if (owners !== undefined) spans.push(...spansEndingAt(text, end, ownersIn(owners)));
  }
  return spans.length === 0 ? text : withoutSpans(text, spans);
}

/** The text without these secrets, of whatever length, known or not. Pure. */
export function redactThese(text: string, secrets: readonly string[]): string {
  const forms = secrets.flatMap((secret) => (secret === '' ? [] : formsOf(secret)));
  return forms.sort((a, b) => b.length - a.length).reduce((rest, form) => rest.replaceAll(form, REDACTED), text);
}

interface Span {
  start: number;
  end: number;
}

function spansEndingAt(text: string, end: number, owners: readonly string[]): Span[] {
  return owners.flatMap((secret) =>
    formsOf(secret)
      .filter((form) => text.endsWith(form, end))
      .map((form) => ({ start: end - form.length, end })),
  );
}

function withoutSpans(text: string, spans: readonly Span[]): string {
  let [rest, from] = ['', 0];
  for (const { start, end } of [...spans].sort((a, b) => a.start - b.start)) {
    // One secret within another, or in two forms at once.
    if (start >= from) rest += text.slice(from, start) + REDACTED;
    from = Math.max(from, end);
  }
  return rest + text.slice(from);
}

const BASE = 0x01000193;
/** BASE to the power of ANCHOR: what the character that leaves the anchor has been multiplied with. */
const LEAVING = Array.from({ length: ANCHOR }, () => BASE).reduce((product, each) => Math.imul(product, each), 1);

/** The hash of the ANCHOR characters before `end`, from that of the ones before `end - 1`. */
function rolled(before: number, text: string, end: number): number {
  const leaves = end > ANCHOR ? text.charCodeAt(end - 1 - ANCHOR) : 0;
  return (Math.imul(before, BASE) + text.charCodeAt(end - 1) - Math.imul(leaves, LEAVING)) | 0;
}

function anchorsOf(secret: string): Set<number> {
  return new Set(
    formsOf(secret)
      .filter((form) => form.length >= ANCHOR)
      .map((form) => {
        const anchor = form.slice(-ANCHOR);
        let hash = 0;
        for (let end = 1; end <= ANCHOR; end++) hash = rolled(hash, anchor, end);
        return hash;
      }),
  );
}

function ownersIn(entry: string | readonly string[]): readonly string[] {
  return typeof entry === 'string' ? [entry] : entry;
}

function indexFresh(): void {
  for (const secret of fresh) {
    if (known.get(secret) !== false) continue;
    known.set(secret, true);
    for (const anchor of anchorsOf(secret)) {
      const others = byAnchor.get(anchor);
      byAnchor.set(anchor, others === undefined ? secret : [...ownersIn(others), secret]);
    }
  }
  fresh = [];
}

function forgetOldest(): void {
  for (const [secret, isIndexed] of known) {
    known.delete(secret);
    if (isIndexed) for (const anchor of anchorsOf(secret)) forgetAnchor(anchor, secret);
    break;
  }
  // A process that never writes a line must not keep them all.
  if (fresh.length > 2 * MAX_KNOWN) fresh = fresh.filter((secret) => known.has(secret));
}

function forgetAnchor(anchor: number, secret: string): void {
  const others = ownersIn(byAnchor.get(anchor) ?? []).filter((owner) => owner !== secret);
  const [only] = others;
  if (only === undefined) byAnchor.delete(anchor);
  else byAnchor.set(anchor, others.length === 1 ? only : others);
}

/**
 * What a secret may look like in a text: as it is, in a URL or a form, as JSON, in hexadecimal, in base64 by itself or
 * within something longer (XOAUTH2, an Authorization header).
 */
function formsOf(text: string): string[] {
  // Half a surrogate pair cannot be encoded, and goes over any wire as this.
  const secret = Buffer.from(text).toString();
  const inUrl = encodeURIComponent(secret);
  const inForm = new URLSearchParams([['', secret]]).toString().slice(1);
  const inJson = JSON.stringify(secret).slice(1, -1);
  const hex = Buffer.from(secret).toString('hex');
  const encoded = [inUrl, inForm].flatMap((form) => [form, form.replace(/%../g, (byte) => byte.toLowerCase())]);
  const inBase64 = [...new Set([secret, inUrl, inForm])].flatMap(base64Forms);
  const others = [...encoded, inJson, inJson.replaceAll('/', '\\/'), hex, hex.toUpperCase(), ...inBase64];
  return [...new Set([secret, ...others.filter((form) => form.length >= SHORTEST_FORM)])];
}

/** Base64 of the secret alone, and after 0, 1 and 2 other bytes: only the digits that no neighbour has a part in. */
function base64Forms(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const alone = bytes.toString('base64');
  const within = [0, 1, 2].map((before) => {
    const all = Buffer.concat([Buffer.alloc(before), bytes]);
    return all.toString('base64').slice(Math.ceil((before * 8) / 6), Math.floor((all.length * 8) / 6));
  });
  return [alone, alone.replace(/=+$/, ''), ...within].flatMap((digits) => [
    digits,
    digits.replaceAll('+', '-').replaceAll('/', '_'),
  ]);
}
