/** Private CAs, such as an organisation has for its own servers: trusted in addition to those of the system. */
import { constants } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import * as tls from 'node:tls';
import { CmsError, messageOf, systemErrorCode } from '../core/errors.ts';
import { judgeWay, requireFile } from './files/trusted.ts';

const BEGIN = '-----BEGIN CERTIFICATE-----';

/**
 * The certificates of `caFile` and all that Node trusts anyway, NODE_EXTRA_CA_CERTS included, as PEM. Undefined without
 * a file: then Node's own default is the right one.
 * @throws CmsError `config_invalid` for a file that cannot be read or holds no certificate
 */
export async function trustedAuthorities(caFile: string | undefined): Promise<string[] | undefined> {
  if (caFile === undefined) return undefined;
  const own = await readAuthorities(caFile);
  return [...(await usualAuthorities()), own];
}

/**
 * The same for a process that makes one connection: the file's certificates next to those that Node has at hand. A list
 * of all has to be parsed again, which takes three times as long as the handshake.
 * @throws CmsError `config_invalid` as `trustedAuthorities`
 */
export async function trustingContext(caFile: string | undefined): Promise<tls.SecureContext | undefined> {
  if (caFile === undefined) return undefined;
  const [own, extra] = [await readAuthorities(caFile), await extraAuthorities()];
  const context = tls.createSecureContext();
  // What node:tls itself calls for each of `ca`. Not part of its public interface: without it, the list is parsed.
  const inner = context.context as { addCACert?: (pem: string) => void };
  if (typeof inner.addCACert !== 'function')
    return tls.createSecureContext({ ca: [...(await usualAuthorities()), own] });
  inner.addCACert(own);
  // Node 20 begins with its own ones again when one is added.
  if (extra !== undefined) inner.addCACert(extra);
  return context;
}

/**
 * The text of a PEM file with at least one certificate. Whoever can change it can stand in for the server that gets the
 * token, so only its owner and root may.
 * @param owner the user for whom root reads it
 * @throws CmsError `config_invalid`
 */
export async function readAuthorities(caFile: string, owner?: number): Promise<string> {
  const text = await textOf(caFile, owner).catch((error: unknown) => {
    if (error instanceof CmsError) throw error;
    const reason = systemErrorCode(error) ?? messageOf(error);
    throw unusable(caFile, `cannot read the file of authorities ${caFile}: ${reason}`);
  });
  if (text.includes(BEGIN)) return text;
  throw unusable(caFile, `there is no certificate in ${caFile}; it has to be PEM (-----BEGIN CERTIFICATE-----)`);
}

/** Without waiting: a FIFO would block a broker until a process wrote to it. */
async function textOf(path: string, owner: number | undefined): Promise<string> {
  const refuse = (why: string, suggestions: string[]): CmsError =>
    new CmsError('config_invalid', `cannot trust the file of authorities ${path}: ${why}`, { suggestions });
  const place = judgeWay(path, { owner, links: true, refuse });
  await using file = await open(place.path, constants.O_RDONLY | constants.O_NONBLOCK);
  const found = await file.stat();
  // What a directory is, reading says.
  if (!found.isFile() && !found.isDirectory()) throw new Error('it is not a regular file');
  if (found.isFile()) requireFile(path, found, { owner, refuse });
  return await file.readFile('utf8');
}

/** `ca` of node:tls replaces what is trusted by default, so that has to be named, too. */
async function usualAuthorities(): Promise<readonly string[]> {
  // Since Node 22.15; it knows of --use-system-ca as well.
  const { getCACertificates } = tls as { getCACertificates?: (type: 'default') => string[] };
  if (getCACertificates !== undefined) return getCACertificates('default');
  const extra = await extraAuthorities();
  return extra === undefined ? tls.rootCertificates : [...tls.rootCertificates, extra];
}

/** Node only warns about a file that it cannot read. */
async function extraAuthorities(): Promise<string | undefined> {
  const file = process.env.NODE_EXTRA_CA_CERTS;
  const text = file ? await readFile(file, 'utf8').catch(() => '') : '';
  return text.includes(BEGIN) ? text : undefined;
}

function unusable(caFile: string, message: string): CmsError {
  return new CmsError('config_invalid', message, {
    suggestions: [`openssl x509 -noout -subject -in ${caFile}`, 'cms account add ADDRESS --ca-file FILE'],
  });
}
