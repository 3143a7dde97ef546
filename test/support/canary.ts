/** Looking for secrets: in texts, in files, and in what /proc shows of the processes that had them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Everything that a text may show of a secret. Written without the program's own filter, which it judges. */
export function formsOf(secret: string): string[] {
  const url = encodeURIComponent(secret);
  const form = new URLSearchParams({ a: secret }).toString().slice(2);
  const hex = Buffer.from(secret).toString('hex');
  // Digits that hold bits of the neighbours are left out, and so is what a filter may have cut at its edges.
  const base64 = [0, 1, 2].map((before) =>
    Buffer.concat([Buffer.alloc(before), Buffer.from(secret)])
      .toString('base64')
      .slice(before === 0 ? 0 : before + 1)
      .replace(/.?=*$/, ''),
  );
  const base64url = base64.map((digits) => digits.replaceAll('+', '-').replaceAll('/', '_'));
  const json = JSON.stringify(secret).slice(1, -1);
  return [...new Set([secret, url, form, json, hex, hex.toUpperCase(), ...base64, ...base64url])];
}

export interface Place {
  name: string;
  text: string;
}

/** Where secrets stand, each with the text around it. */
export function leaks(places: readonly Place[], secrets: Iterable<string>): string[] {
  const forms = [...secrets].flatMap(formsOf);
  return places.flatMap(({ name, text }) =>
    forms.flatMap((form) => {
      const at = text.indexOf(form);
      return at < 0 ? [] : [`${name}: …${text.slice(Math.max(0, at - 60), at + form.length + 20)}…`];
    }),
  );
}

/** Every file below a folder, as bytes. */
export function filesBelow(folder: string): Place[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ name: path, text: readFileSync(path, 'latin1') }));
}

/** Watches arguments and environment of all processes whose environment or arguments hold `mark`. */
export class ProcessWatch implements Disposable {
  readonly #mark: string;
  readonly #seen = new Map<string, string>();
  readonly #timer: NodeJS.Timeout;
  readonly #others = new Set(readdirSync('/proc'));

  constructor(mark: string) {
    this.#mark = mark;
    this.#timer = setInterval(() => this.#look(), 25);
  }

  get places(): Place[] {
    return [...this.#seen].map(([text, name]) => ({ name, text }));
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    for (const pid of readdirSync('/proc')) {
      if (this.#others.has(pid)) continue;
      try {
        const [cmdline, environ] = ['cmdline', 'environ'].map((file) => readFileSync(`/proc/${pid}/${file}`, 'latin1'));
        if (`${cmdline}${environ}`.includes(this.#mark)) this.#seen.set(`${cmdline}\n${environ}`, `/proc/${pid}`);
      } catch {
        // Gone, or not ours to look into: then it is nobody else's either.
      }
    }
  }
}
