/** Which way of signing in to begin with. Pure. */
import { CmsError } from '../core/errors.ts';
import type { Environment } from '../os/paths.ts';
import type { Flow, OAuthProvider } from '../providers/provider.ts';

export interface FlowSituation {
  env: Environment;
  platform: NodeJS.Platform;
  /** `--flow` */
  wanted?: Flow | undefined;
  /** `--no-browser` */
  noBrowser: boolean;
  /** The server is known to have a device authorization endpoint. */
  hasDeviceEndpoint: boolean;
  /** A person at a terminal can paste the answer while cms waits for the browser. */
  canTurn?: boolean;
}

/**
 * The flow to use. A browser on this machine is the shortest way; over SSH and without a display, a code that is
 * entered elsewhere is; where the provider has no such code, the browser elsewhere is waited for, through `ssh -L` or with
 * the final address pasted. Without a terminal only the pasting is left.
 * @throws CmsError `config_invalid` for a flow that this provider does not have
 */
export function chooseFlow(provider: OAuthProvider, situation: FlowSituation): Flow {
  const { wanted, noBrowser, env } = situation;
  const device = provider.flows.device && situation.hasDeviceEndpoint;
  if (wanted === 'device' && !device) throw noDeviceFlow(provider);
  if (wanted === 'browser' && !provider.flows.browser) throw noBrowserFlow(provider);
  if (wanted !== undefined) return wanted;
  if (!provider.flows.browser) return device ? 'device' : 'manual';
  if (noBrowser || hasBrowser(env, situation.platform)) return 'browser';
  if (device) return 'device';
  return situation.canTurn ? 'browser' : 'manual';
}

/** `manual`: the answer is carried by hand; `device`: a code is entered elsewhere. */
export type OtherWay = Exclude<Flow, 'browser'>;

/** The other ways to sign in at this provider. */
export function otherWays(provider: OAuthProvider, hasDeviceEndpoint: boolean): OtherWay[] {
  return provider.flows.device && hasDeviceEndpoint ? ['manual', 'device'] : ['manual'];
}

/** Whether a browser can be opened here, in front of the person. */
export function hasBrowser(env: Environment, platform: NodeJS.Platform): boolean {
  if (env.BROWSER) return true;
  if (env.SSH_CONNECTION || env.SSH_TTY) return false;
  return platform === 'darwin' || platform === 'win32' || [env.DISPLAY, env.WAYLAND_DISPLAY].some(Boolean);
}

function noBrowserFlow(provider: OAuthProvider): CmsError {
  return new CmsError(
    'config_invalid',
    `${provider.name} takes no redirect URI on this machine, so nothing here can wait for the browser`,
    { suggestions: ['--flow manual    # open the address anywhere, paste where it ends'] },
  );
}

function noDeviceFlow(provider: OAuthProvider): CmsError {
  const note = provider.flows.device ? 'it names no device authorization endpoint' : provider.flows.device_note;
  return new CmsError(
    'config_invalid',
    `${provider.name} has no device flow for mail${note ? `: ${note.replace(/\.$/, '')}` : ''}`,
    {
      suggestions: [
        '--flow manual    # open the address anywhere, paste where it ends',
        ...(provider.flows.browser ? ['--flow browser   # with ssh -L for the port'] : []),
      ],
    },
  );
}
