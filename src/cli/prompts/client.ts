/** Asks which client to sign in with, if none is known; there is always a way to go on. */
import { homedir } from 'node:os';
import { resolve } from 'node:path';
import type { ClientAnswer, ClientQuestion } from '../../lib/enrol/choose-client.ts';
import { CmsError, toCmsError } from '../../lib/core/errors.ts';
import { clientFor } from '../../lib/providers/client.ts';
import { type GoogleClient, parseGoogleClientFile } from '../../lib/providers/google-client.ts';
import type { OAuthProvider, Provider } from '../../lib/providers/provider.ts';
import { parseTenant } from '../../lib/providers/tenant.ts';
import { Secret } from '../../lib/core/secret.ts';
import { isAsSystem } from '../../lib/service/system.ts';
import { readNamedNow } from '../../lib/os/files/named-file.ts';
import { askChoice, askSecret, askText, askToEdit, askYesNo } from './ask.ts';
import { given } from '../../lib/core/values.ts';

type Say = (line: string) => void;

/** An own client, one that cms registers itself, or an app password where the provider has those. */
export async function askClient(say: Say, question: ClientQuestion): Promise<ClientAnswer> {
  const { provider, registration_endpoint } = question;
  if (registration_endpoint !== undefined && (await askRegistration(registration_endpoint))) {
    return { kind: 'register', wishes: given('scope', await askScope(question)) };
  }
  if (await prefersPassword(provider)) {
    sayPasswordWay(say, provider);
    return { kind: 'password', password: await askAppPassword() };
  }
  return askOwnClient(say, question);
}

function askRegistration(endpoint: string): Promise<boolean> {
  return askYesNo(`Register cms at ${new URL(endpoint).host}? (its consent page will show the name cms)`, true);
}

async function prefersPassword(provider: OAuthProvider): Promise<boolean> {
  const way = provider.app_password;
  if (provider.oauth !== 'supported' || way === undefined || !('url' in way)) return false;
  return askChoice(`How should cms log in at ${provider.name}?`, [
    { name: 'OAuth, with a client of your own', value: false, description: 'registered once, about ten minutes' },
    { name: 'an app password', value: true, description: way.how },
  ]);
}

/** How to come by an app password, or why there is none. */
export function sayPasswordWay(say: Say, { app_password: way }: Provider): void {
  if (way !== undefined && 'url' in way) say(`  app password: ${way.how} (${way.url})`);
  if (way !== undefined && 'unavailable' in way) say(`  ${way.unavailable}`);
}

/** @throws CmsError `usage` when none is given */
export async function askAppPassword(): Promise<Secret> {
  const password = await askSecret('App password:', notEmpty);
  if (password === undefined) throw new CmsError('usage', 'no app password was given; nothing was changed');
  return password;
}

type OwnClient = Extract<ClientAnswer, { kind: 'client' }>;

async function askOwnClient(say: Say, question: ClientQuestion): Promise<OwnClient> {
  const { provider, before } = question;
  const tenant = await askTenant(provider, before.tenant);
  const located = { ...question, before: { ...before, ...given('tenant', tenant) } };
  explainClient(say, located);
  const client = provider.id === 'google' ? await askGoogleClient() : await askClientId(provider);
  const wishes = { ...client.wishes, ...given('tenant', tenant), ...given('scope', await askScope(located)) };
  const wantsSecret = before.clientSecret === undefined && provider.client.secret !== 'none';
  if (wishes.clientSecret !== undefined || !wantsSecret) return { ...client, wishes };
  const { secret, file } = await askClientSecret(provider);
  return { kind: 'client', wishes: { ...wishes, ...given('clientSecret', secret) }, ...given('file', file) };
}

async function askClientId({ tenant }: OAuthProvider): Promise<OwnClient> {
  const clientId = await askText('Client id:', tenant === undefined ? notEmpty : likeMicrosofts);
  return { kind: 'client', wishes: { clientId } };
}

/** The page of a registration shows other things that could be meant. */
function likeMicrosofts(text: string): void {
  if (/^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i.test(text)) return;
  throw new CmsError('usage', 'it is the "Application (client) ID", such as 11111111-2222-3333-4444-555555555555');
}

async function askClientSecret(provider: OAuthProvider): Promise<{ secret?: Secret; file?: OwnClient['file'] }> {
  const required = provider.client.secret === 'required';
  const said = await askSecret(
    required ? 'Client secret, or @FILE:' : 'Client secret, or @FILE (empty if it has none):',
    (text) => {
      if (required) notEmpty(text);
      secretFrom(text);
    },
  );
  const text = said?.reveal() ?? '';
  const secret = secretFrom(text);
  if (!text.startsWith('@')) return given('secret', secret);
  return { ...given('secret', secret), file: { flag: '--client-secret-file', path: placeOf(text.slice(1)) } };
}

/** @throws CmsError `io_error`, `data_invalid` for a file that cannot be used */
function secretFrom(text: string): Secret | undefined {
  if (!text.startsWith('@')) return text === '' ? undefined : new Secret(text);
  const [line = ''] = readText(text.slice(1)).split(/\r?\n/, 1);
  if (line !== '') return new Secret(line);
  throw new CmsError('data_invalid', `${text.slice(1)} is empty`);
}

/** The id itself, or where the browser has put the file that Google offers. */
async function askGoogleClient(): Promise<OwnClient> {
  const read = (text: string): GoogleClient | undefined =>
    /\.json$|^[~./]/.test(text) ? parseGoogleClientFile(readText(text)) : undefined;
  const text = await askText('Client id, or path of the downloaded JSON file:', (line) => {
    if (read(line) === undefined && !line.endsWith('.apps.googleusercontent.com'))
      throw new CmsError('usage', 'a client id ends in .apps.googleusercontent.com, and a path in .json');
  });
  const client = read(text);
  if (client === undefined) return { kind: 'client', wishes: { clientId: text } };
  const wishes = { clientId: client.client_id, clientSecret: new Secret(client.client_secret) };
  return { kind: 'client', wishes, file: { flag: '--client-file', path: placeOf(text) } };
}

function readText(path: string): string {
  try {
    return readNamedNow(placeOf(path));
  } catch (error) {
    if (!isAsSystem(process.env)) throw error;
    const { code, message } = toCmsError(error);
    // Flags are read with the rights of who typed them.
    const suggestions = ['start with --client-file or --client-secret-file FILE'];
    throw new CmsError(code, message, { suggestions });
  }
}

/** As a shell would find it. */
export function placeOf(path: string): string {
  return resolve(path.replace(/^~(?=\/)/, () => homedir()));
}

/** Where the preset has no usual tenant, it has to be named. */
async function askTenant(provider: OAuthProvider, named: string | undefined): Promise<string | undefined> {
  if (named !== undefined || provider.tenant === undefined || provider.tenant.default !== undefined) return named;
  return askText('Tenant (its id, or a domain of it):', parseTenant);
}

function explainClient(say: Say, question: ClientQuestion): void {
  const { client, id, name } = question.provider;
  say(`${id === 'custom' ? 'This server' : name} wants a client of your own.`);
  say('The page that asks for your consent will show the name that you give to this client.');
  for (const step of client.steps ?? []) say(`  ${step}`);
  if (client.register_url !== undefined) say(`  register it at:  ${client.register_url}`);
  say(`  kind of client:  ${client.type}`);
  say(`  redirect URI:    ${client.redirect_to_register}`);
  say(`  scopes:          ${scopesOf(question)}`);
  if (client.note !== undefined) say(`  ${client.note}`);
}

/** What a mail server of one's own wants is known to its administrator alone. */
async function askScope(question: ClientQuestion): Promise<string | undefined> {
  if (question.provider.id !== 'custom' || question.before.scope !== undefined) return undefined;
  return askToEdit('Scopes to ask for:', notEmpty, scopesOf(question));
}

function scopesOf({ provider, protocols, before }: ClientQuestion): string {
  if (before.scope !== undefined) return before.scope;
  const endpoints = { token_endpoint: 'https://localhost/', ...before.endpoints };
  return clientFor(provider, { client_id: '-', protocols, hasSecret: true, tenant: before.tenant, endpoints }).scope;
}

function notEmpty(text: string): void {
  if (text === '') throw new CmsError('usage', 'something has to be entered here');
}
