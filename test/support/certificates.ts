/** Certificates made in the process: an authority and a leaf for `localhost`, `127.0.0.1` and `::1`. */
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate } from 'selfsigned';

export interface ServerCertificate {
  /** PEM. */
  key: string;
  cert: string;
  /** PEM of the authority that a client is to trust. */
  ca: string;
  /** `ca` in a file that every user may read. */
  caFile: string;
  /** Key and certificate in files, for servers that are programs. The key is readable by the owner only. */
  keyFile: string;
  certFile: string;
}

export interface CertificateOptions {
  /** DNS names and addresses. Default localhost, 127.0.0.1 and ::1. */
  names?: readonly string[];
  notBefore?: Date;
  notAfter?: Date;
}

const LOOPBACK = ['localhost', '127.0.0.1', '::1'];
const DAY_MS = 24 * 3600 * 1000;

let trusted: Promise<ServerCertificate> | undefined;

/** The certificate that servers use unless told otherwise; made once in a process. */
export function trustedCertificate(): Promise<ServerCertificate> {
  trusted ??= createCertificate();
  return trusted;
}

/** A certificate of a stranger's authority; `ca` and `caFile` are those of the trusted one, which did not sign it. */
export async function untrustedCertificate(): Promise<ServerCertificate> {
  const [{ ca, caFile }, stranger] = await Promise.all([trustedCertificate(), createCertificate()]);
  return { ...stranger, ca, caFile };
}

/** Makes an authority and a leaf signed by it. The files go when the process ends. */
export async function createCertificate(options: CertificateOptions = {}): Promise<ServerCertificate> {
  const validity = {
    notBeforeDate: options.notBefore ?? new Date(Date.now() - DAY_MS),
    notAfterDate: options.notAfter ?? new Date(Date.now() + 7 * DAY_MS),
  };
  // Of several authorities of one name, the first is taken for the issuer.
  const authority = await generate([{ name: 'commonName', value: `cms test authority ${randomUUID()}` }], {
    ...KEY_KIND,
    ...validity,
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  const leaf = await generate([{ name: 'commonName', value: 'localhost' }], {
    ...KEY_KIND,
    ...validity,
    ca: { key: authority.private, cert: authority.cert },
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'keyUsage', digitalSignature: true, keyEncipherment: true },
      { name: 'extKeyUsage', serverAuth: true },
      { name: 'subjectAltName', altNames: (options.names ?? LOOPBACK).map(subjectAltName) },
    ],
  });
  return { key: leaf.private, cert: leaf.cert, ca: authority.cert, ...writeFiles(leaf, authority.cert) };
}

const KEY_KIND = { keyType: 'ec', curve: 'P-256', algorithm: 'sha256' } as const;

function subjectAltName(name: string): { type: 2; value: string } | { type: 7; ip: string } {
  return isIP(name) === 0 ? { type: 2, value: name } : { type: 7, ip: name };
}

function writeFiles(leaf: { private: string; cert: string }, ca: string) {
  const folder = mkdtempSync(join(tmpdir(), 'cms-certificates-'));
  removeAtExit(folder);
  // The MTA reads the authority as a user of its own.
  chmodSync(folder, 0o755);
  const files = {
    caFile: join(folder, 'ca.pem'),
    certFile: join(folder, 'cert.pem'),
    keyFile: join(folder, 'key.pem'),
  };
  writeFileSync(files.caFile, ca, { mode: 0o644 });
  writeFileSync(files.certFile, leaf.cert, { mode: 0o644 });
  writeFileSync(files.keyFile, leaf.private, { mode: 0o600 });
  return files;
}

const folders = new Set<string>();

function removeAtExit(folder: string): void {
  folders.add(folder);
  // One listener for all of them, however many a process makes.
  if (folders.size > 1) return;
  process.once('exit', () => {
    for (const path of folders) rmSync(path, { recursive: true, force: true });
  });
}
