/** What an organisation's preset answers before the user is asked. */
import { CmsError } from '../core/errors.ts';
import type { Provider } from '../providers/provider.ts';
import { Secret } from '../core/secret.ts';
import { readNamed } from '../os/files/named-file.ts';
import type { ClientWishes } from './plan.ts';

/**
 * `wishes`, and after them what the preset says. Its secret goes with its client id only.
 * @throws CmsError `io_error`, `data_invalid`, `config_invalid` for a secret that cannot be read
 */
export async function withDefaults(wishes: ClientWishes, { defaults = { from: '' } }: Provider): Promise<ClientWishes> {
  const { client_id, client_secret_file, scope, redirect_port, ca_file } = defaults;
  const ownClient = client_id !== undefined && (wishes.clientId ?? client_id) === client_id;
  const secretFile = ownClient && wishes.clientSecret === undefined ? client_secret_file : undefined;
  return {
    ...(client_id !== undefined && { clientId: client_id }),
    ...(secretFile !== undefined && { clientSecret: await secretIn(secretFile) }),
    ...(scope !== undefined && { scope }),
    ...(redirect_port !== undefined && { redirectPort: redirect_port }),
    ...(ca_file !== undefined && { caFile: ca_file }),
    ...wishes,
  };
}

/**
 * The first line of a file.
 * @param place where a copy lies that can be read
 * @throws CmsError `io_error`, `config_invalid` for a file that others can change, `data_invalid` for an empty one
 */
export async function secretIn(path: string, place = path): Promise<Secret> {
  const [line = ''] = (await readNamed(place)).split(/\r?\n/, 1);
  if (line !== '') return new Secret(line);
  throw new CmsError('data_invalid', `${path} is empty`, {
    suggestions: [`the secret belongs in the first line of ${path}`],
  });
}
