/** Login and consent: what the person decides, handed to the authorization server. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import type Provider from 'oidc-provider';
import type { InteractionResults } from 'oidc-provider';
import { consentPage, errorPage, loginPage } from './pages.ts';

export interface Consent {
  /** Scopes that the server leaves out of the grant although the person allowed them all. */
  withholdScopes: readonly string[];
}

/** The one password that every account refuses. */
const WRONG_PASSWORD = 'wrong';

type Interaction = Awaited<ReturnType<Provider['interactionDetails']>>;

/** Answers `GET` and `POST /interaction/{uid}`. */
export async function answerInteraction(
  provider: Provider,
  consent: Consent,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const interaction = await provider.interactionDetails(request, response).catch((error: unknown) => String(error));
  if (typeof interaction === 'string') return sendPage(response, 400, errorPage({ error: interaction }));
  if (request.method !== 'POST') return sendPage(response, 200, pageOf(interaction, request.url ?? '/'));
  const form = new URLSearchParams(await text(request));
  if (interaction.prompt.name === 'login') return finishLogin(provider, request, response, form);
  const result = form.get('consent') === 'allow' ? await grant(provider, interaction, consent) : DECLINED;
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: result !== DECLINED });
}

const DECLINED = { error: 'access_denied', error_description: 'the person declined' };

function pageOf(interaction: Interaction, action: string): string {
  const { params, prompt, session } = interaction;
  if (prompt.name === 'login') return loginPage(action, textOf(params.login_hint));
  return consentPage(action, textOf(params.client_id), session?.accountId ?? '', textOf(params.scope).split(' '));
}

async function finishLogin(
  provider: Provider,
  request: IncomingMessage,
  response: ServerResponse,
  form: URLSearchParams,
): Promise<void> {
  const accountId = form.get('login')?.trim() ?? '';
  if (accountId === '' || form.get('password') === WRONG_PASSWORD) {
    return sendPage(response, 401, loginPage(request.url ?? '/', accountId, 'Wrong name or password'));
  }
  await provider.interactionFinished(request, response, { login: { accountId } }, { mergeWithLastSubmission: false });
}

async function grant(
  provider: Provider,
  interaction: Interaction,
  { withholdScopes }: Consent,
): Promise<InteractionResults> {
  const { params, prompt, session } = interaction;
  const found = interaction.grantId === undefined ? undefined : await provider.Grant.find(interaction.grantId);
  const clientId = textOf(params.client_id);
  const given = found ?? new provider.Grant({ accountId: session?.accountId ?? '', clientId });
  const missing = prompt.details.missingOIDCScope;
  for (const scope of Array.isArray(missing) ? missing.map(String) : []) {
    if (withholdScopes.includes(scope)) given.rejectOIDCScope(scope);
    else given.addOIDCScope(scope);
  }
  const claims = prompt.details.missingOIDCClaims;
  if (Array.isArray(claims)) given.addOIDCClaims(claims.map(String));
  return { consent: { grantId: await given.save() } };
}

async function sendPage(response: ServerResponse, status: number, html: string): Promise<void> {
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' }).end(html);
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
