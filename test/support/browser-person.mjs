#!/usr/bin/env node
/**
 * The person in front of the browser, without a browser: follows redirects, keeps cookies, fills in the forms of the
 * embedded authorization server. Plain JavaScript, so that a program can start it as `$BROWSER` without a loader:
 *
 *   CMS_TEST_LOGIN=jane@example.org CMS_TEST_CONSENT=allow BROWSER=…/browser-person.mjs cms account add …
 *
 * CMS_TEST_PASSWORD is the password, CMS_TEST_USER_CODE the code of the device flow; CMS_TEST_BROWSER_LOG names a file
 * that gets one JSON line for each visit.
 */
import { appendFileSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const MOST_STEPS = 30;
const REQUEST_TIMEOUT_MS = 10_000;

export async function visit(startUrl, person) {
  const { callback = 'visit' } = person;
  // cms leads its browser on from an address of its own.
  let provider = new URL(startUrl).origin;
  const jar = new CookieJar();
  let step = { url: new URL(startUrl), form: undefined };
  for (let steps = 0; steps < MOST_STEPS; steps++) {
    const response = await request(step, jar);
    const location = response.headers.get('location');
    if (response.status >= 300 && response.status < 400 && location !== null) {
      const next = new URL(location, step.url);
      if (steps === 0 && new URL(startUrl).search === '') provider = next.origin;
      if (callback === 'stop' && next.origin !== provider) return outcome(next, response.status, '');
      step = { url: next, form: undefined };
      continue;
    }
    const body = await response.text();
    const goOn = step.url.origin === provider && response.ok && !body.includes('role="alert"');
    const form = goOn ? parseForm(body) : undefined;
    if (form === undefined) return outcome(step.url, response.status, body);
    step = { url: new URL(form.action, step.url), form: fillIn(form, person) };
  }
  throw new Error(`the sign-in did not end after ${MOST_STEPS} pages, last at ${step.url.origin}${step.url.pathname}`);
}

async function request({ url, form }, jar) {
  const headers = { accept: 'text/html', cookie: jar.header(url) };
  const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
  const method = form === undefined ? 'GET' : 'POST';
  const response = await fetch(url, { method, headers, body: form ?? null, redirect: 'manual', signal });
  jar.store(url, response.headers.getSetCookie());
  return response;
}

function outcome(url, status, body) {
  return { finalUrl: url.href, status, body };
}

/** Knows the fields by their names; whatever else the form holds is sent as it came. */
function fillIn({ fields, buttons }, { login, password = 'right', consent = 'allow', userCode }) {
  const form = new URLSearchParams(fields);
  if (form.has('login')) form.set('login', login);
  if (form.has('password')) form.set('password', password);
  if (form.get('user_code') === '') form.set('user_code', userCode ?? '');
  if (buttons.includes('consent')) form.set('consent', consent);
  return form;
}

function parseForm(html) {
  const action = /<form[^>]*\saction="([^"]*)"/.exec(html)?.[1];
  if (action === undefined) return undefined;
  const inputs = [...html.matchAll(/<input\b([^>]*)>/gs)].map(([, attributes]) => attributes);
  const fields = inputs.map((attributes) => [attribute(attributes, 'name'), attribute(attributes, 'value')]);
  const buttons = [...html.matchAll(/<button\b([^>]*)>/gs)].map(([, attributes]) => attribute(attributes, 'name'));
  return { action: unescapeHtml(action), fields: fields.filter(([name]) => name !== ''), buttons };
}

function attribute(attributes, name) {
  return unescapeHtml(new RegExp(`\\s${name}="([^"]*)"`).exec(attributes)?.[1] ?? '');
}

const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function unescapeHtml(text) {
  return text
    .replace(/&#(\d+);/g, (_match, code) => String.fromCharCode(Number(code)))
    .replace(/&(amp|lt|gt|quot|apos);/g, (_match, name) => ENTITIES[name]);
}

/** Cookies by origin, path and name: the server sets the same name for several paths. */
class CookieJar {
  #cookies = new Map();

  store(url, setCookies) {
    for (const line of setCookies) {
      const [pair, ...attributes] = line.split(';').map((part) => part.trim());
      const [name, ...rest] = pair.split('=');
      const value = rest.join('=');
      const path = attributes.find((part) => /^path=/i.test(part))?.slice(5) ?? '/';
      this.#cookies.set(`${url.origin} ${path} ${name}`, { origin: url.origin, path, name, value });
    }
  }

  header(url) {
    return [...this.#cookies.values()]
      .filter(({ origin, path, value }) => origin === url.origin && url.pathname.startsWith(path) && value !== '')
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ');
  }
}

function personFromEnvironment(env) {
  return {
    login: env.CMS_TEST_LOGIN ?? '',
    password: env.CMS_TEST_PASSWORD,
    consent: env.CMS_TEST_CONSENT === 'deny' ? 'deny' : 'allow',
    userCode: env.CMS_TEST_USER_CODE,
  };
}

async function main(url, env) {
  const result = await visit(url, personFromEnvironment(env)).catch((error) => ({ error: String(error) }));
  if (env.CMS_TEST_BROWSER_LOG) appendFileSync(env.CMS_TEST_BROWSER_LOG, `${JSON.stringify({ url, ...result })}\n`);
  process.exitCode = result.status < 400 ? 0 : 1;
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await main(process.argv.at(-1), process.env);
}
