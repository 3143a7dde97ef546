/** The broker of the whole system: its user, its folders, its vault key. */
import type { Environment } from '../os/paths.ts';

export const SYSTEM = {
  user: 'cms',
  home: '/var/lib/cms',
  /** Where `cms` finds the system's accounts. */
  environment: {
    CMS_CONFIG_DIR: '/var/lib/cms/config',
    CMS_STATE_DIR: '/var/lib/cms/state',
    CMS_RUNTIME_DIR: '/run/cms-broker',
  },
  unitDir: '/etc/systemd/system',
  sysusersFile: '/etc/sysusers.d/cms.conf',
  /** The vault key, sealed to this machine by systemd-creds(1). */
  credentialFile: '/etc/cms/cms-vault-key.cred',
  eximSocket: '/run/cms/cms/exim.sock',
} as const;

/** Whether this process works on the accounts of the system, as `cms service run` has it. */
export function isAsSystem(env: Environment): boolean {
  return env.CMS_CONFIG_DIR === SYSTEM.environment.CMS_CONFIG_DIR;
}

/** The commands in a text as a user types them who is not the user of the service. */
export function asTyped(text: string, env: Environment): string {
  if (!isAsSystem(env)) return text;
  return text
    .replace(/\bcms account add\b/g, 'cms account add --system')
    .replace(/\bcms (?=(?:account (?!add\b)|token|exim-config|status|doctor|store|unlock)\b)/g, 'cms service run ');
}
