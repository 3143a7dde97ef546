/** The JSON file that Google's console offers for download with a client. */
import { CmsError } from '../core/errors.ts';
import { isRecord, isVisibleAscii } from '../core/values.ts';

export interface GoogleClient {
  client_id: string;
  client_secret: string;
}

const HOW = 'create an OAuth client of the type "Desktop app" and download its JSON file';

/**
 * Client id and secret out of a downloaded file. The URLs in it are ignored: the preset's are used.
 * @throws CmsError `config_invalid`: no JSON, a client of another kind, a service account
 */
export function parseGoogleClientFile(text: string): GoogleClient {
  const file = parseObject(text);
  if (file.type === 'service_account')
    throw refused('is a key of a service account, which is no client to sign in with');
  if ('web' in file)
    throw refused('belongs to a client of the type "Web application", which cannot answer on 127.0.0.1');
  const { installed } = file;
  if (!isRecord(installed)) throw refused('is not a client file of Google');
  const { client_id, client_secret } = installed;
  if (!isVisibleAscii(client_id)) throw refused('has no client id');
  if (!isVisibleAscii(client_secret)) throw refused('has no client secret; Google shows it only once, add a new one');
  return { client_id, client_secret };
}

function parseObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    // Some editors put a byte order mark in front.
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch {
    // JSON.parse quotes the text in its message, and the text holds a secret: no cause here.
    throw refused('is not JSON');
  }
  if (!isRecord(value)) throw refused('is not a client file of Google');
  return value;
}

function refused(reason: string): CmsError {
  return new CmsError('config_invalid', `the client file ${reason}`, { suggestions: [HOW] });
}
