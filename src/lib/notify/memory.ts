/** What has been told, in a file of the state folder: a restart neither repeats a notification nor forgets an outage. */
import { CmsError, isErrorCode, messageOf } from '../core/errors.ts';
import { quoted } from '../core/shell-word.ts';
import { readFileIfAny, writeFileDurable } from '../os/files/files.ts';
import type { Outage, Outages } from './decide.ts';

const VERSION = 1;

/** @throws CmsError `io_error`; `data_invalid` for a file that is not what was written */
export async function readOutages(path: string): Promise<Outages> {
  const bytes = await readFileIfAny(path);
  if (bytes === undefined) return new Map();
  try {
    return parseOutages(bytes.toString('utf8'));
  } catch (error) {
    throw new CmsError('data_invalid', `${path}: ${messageOf(error)}`, { suggestions: [`rm ${quoted(path)}`] });
  }
}

/** @throws CmsError `io_error` */
export async function writeOutages(path: string, outages: Outages): Promise<void> {
  await writeFileDurable(path, `${JSON.stringify({ version: VERSION, outages: Object.fromEntries(outages) })}\n`);
}

function parseOutages(text: string): Outages {
  const { version, outages } = JSON.parse(text) as { version?: unknown; outages?: Record<string, unknown> };
  if (version !== VERSION || typeof outages !== 'object') throw new Error(`not of version ${VERSION}`);
  return new Map(Object.entries(outages).map(([address, value]) => [address, parseOutage(value)]));
}

function parseOutage(value: unknown): Outage {
  const { name, code, reason, grant, since, seen, told } = (value ?? {}) as Record<string, unknown>;
  const isWhole =
    (name === 'authorization_required' || name === 'degraded') &&
    typeof since === 'number' &&
    typeof seen === 'number' &&
    (told === undefined || typeof told === 'number');
  if (!isWhole) throw new Error('an outage is not whole');
  return {
    ...{ name, since, seen, told },
    code: isErrorCode(code) ? code : undefined,
    reason: typeof reason === 'string' ? reason : undefined,
    grant: typeof grant === 'string' ? grant : undefined,
  };
}
