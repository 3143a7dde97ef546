/** Mozilla's description of a domain's mail servers, read strictly. What it says is a proposal that a person confirms. */
import type { MailServer, Protocol } from '../accounts/account.ts';
import { parseDomain } from '../accounts/address.ts';
import { PRESETS } from './table.ts';
import type { Provider } from './provider.ts';

export interface Autoconfig {
  servers: Partial<Record<Protocol, MailServer>>;
  /** Name or URL of the OAuth 2.0 issuer. */
  issuer?: string;
}

const MAX_CHARACTERS = 64 * 1024;
const PROTOCOL_OF: ReadonlyMap<unknown, Protocol> = new Map([
  ['smtp', 'smtp'],
  ['imap', 'imap'],
  ['pop3', 'pop'],
]);
const TLS_OF: ReadonlyMap<string, MailServer['tls']> = new Map([
  ['SSL', 'implicit'],
  ['STARTTLS', 'starttls'],
]);

interface Described {
  protocol: Protocol | undefined;
  hostname?: string;
  port?: string;
  socketType?: string;
  oauth: boolean;
}

/**
 * The servers with TLS of a `config-v1.1.xml`; of several for one protocol the first that takes OAuth 2.0, else the first.
 * @returns undefined for anything that is not such a document, or names no usable server
 * @see https://wiki.mozilla.org/Thunderbird:Autoconfiguration:ConfigFileFormat
 */
export async function parseAutoconfig(xml: string, domain: string): Promise<Autoconfig | undefined> {
  if (xml.length > MAX_CHARACTERS) return undefined;
  const read = await readElements(xml);
  if (read === undefined) return undefined;
  const usable = read.servers.flatMap((each) => usableServer(each, domain));
  const servers: Autoconfig['servers'] = {};
  for (const { protocol, server } of [...usable].sort((a, b) => Number(b.oauth) - Number(a.oauth)))
    servers[protocol] ??= server;
  if (Object.keys(servers).length === 0) return undefined;
  return { servers, ...(read.issuer !== undefined && { issuer: read.issuer }) };
}

/** The preset that has one of these servers: many domains are run by a well-known provider. */
export function presetOf({ servers }: Autoconfig, own: readonly Provider[] = []): Provider | undefined {
  const hosts = new Set(Object.values(servers).map(({ host }) => host));
  return [...own, ...PRESETS].find((provider) =>
    Object.values(provider.servers).some((known) => known.some(({ host }) => hosts.has(host))),
  );
}

async function readElements(xml: string): Promise<{ servers: Described[]; issuer?: string } | undefined> {
  const { default: sax } = await import('sax');
  const parser = sax.parser(true, { trim: true });
  const servers: Described[] = [];
  const path: string[] = [];
  let issuer: string | undefined;
  parser.onerror = (error) => {
    throw error;
  };
  parser.ondoctype = () => {
    throw new Error('a document type has no place here');
  };
  parser.onopentag = ({ name, attributes }) => {
    path.push(name);
    if (name !== 'incomingServer' && name !== 'outgoingServer') return;
    servers.push({ protocol: PROTOCOL_OF.get(attributes.type), oauth: false });
  };
  parser.onclosetag = () => path.pop();
  parser.ontext = (text) => {
    const [parent, name] = path.slice(-2);
    const server = servers.at(-1);
    if (parent === 'oAuth2' && name === 'issuer') issuer ??= text;
    if (server === undefined || (parent !== 'incomingServer' && parent !== 'outgoingServer')) return;
    if (name === 'authentication' && text === 'OAuth2') server.oauth = true;
    if (name === 'hostname' || name === 'port' || name === 'socketType') server[name] = text;
  };
  try {
    parser.write(xml).close();
  } catch {
    return undefined;
  }
  return { servers, ...(issuer !== undefined && { issuer }) };
}

function usableServer(
  { protocol, hostname = '', port = '', socketType = '', oauth }: Described,
  domain: string,
): { protocol: Protocol; server: MailServer; oauth: boolean }[] {
  const tls = TLS_OF.get(socketType);
  const number = Number(port);
  if (protocol === undefined || tls === undefined || !/^\d{1,5}$/.test(port) || number < 1 || number > 65_535)
    return [];
  try {
    const host = parseDomain(hostname.replace('%EMAILDOMAIN%', domain));
    return [{ protocol, server: { host, port: number, tls }, oauth }];
  } catch {
    return [];
  }
}
