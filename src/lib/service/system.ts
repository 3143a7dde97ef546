/** The broker of the whole system: its user, its folders, its vault key. */

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
