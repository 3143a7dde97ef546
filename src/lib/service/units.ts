/** The units of the broker, for one user and for the whole system. Pure. @see systemd.service(5), systemd.socket(5) */
import type { Program } from './program.ts';
import { SYSTEM } from './system.ts';
import { commandWord, literal, markLine, quotedWord } from './unit-file.ts';

export interface Unit {
  name: 'cms.service' | 'cms.socket' | 'cms-exim.socket';
  text: string;
}

export interface UserService {
  program: Program;
  /** What the broker needs of the environment; the service manager has none of a shell's. */
  environment: Readonly<Record<string, string>>;
  /** Absolute, or beginning with the specifier `%t`. */
  privateSocket: string;
  /** The socket in exim's smart-hosts file. */
  eximSocket: string | undefined;
}

/**
 * Units of a user. They hold no sandbox: in a user's unit it takes a user namespace, in which the peers of a socket all
 * look like nobody, and NoNewPrivileges= would keep a hook from running exim, which is setuid.
 */
export function userUnits(service: UserService): Unit[] {
  const { program, environment, eximSocket } = service;
  const unit = (name: Unit['name'], ...sections: string[]): Unit => ({
    name,
    text: `${markLine(`systemctl --user edit ${name}`)}\n${sections.join('\n')}`,
  });
  const sockets = ['cms.socket', ...(eximSocket === undefined ? [] : ['cms-exim.socket'])];
  const main = unit(
    'cms.service',
    unitSection(sockets),
    section('Service', {
      ...LIFE,
      ExecStart: execStart(program),
      Sockets: sockets.join(' '),
      Environment: environmentLine(environment),
      ...LIMITS,
    }),
    section('Install', { WantedBy: 'default.target', Also: sockets.join(' ') }),
  );
  const own = unit('cms.socket', privateSocketUnit(service.privateSocket));
  if (eximSocket === undefined) return [main, own];
  return [main, own, unit('cms-exim.socket', eximSocketUnit(eximSocket, {}))];
}

/**
 * Units of the system's own broker, which runs as a user of its own in a sandbox. Left out of that sandbox: memory that
 * must not be executable (V8 compiles), user namespaces (peers would all be nobody), and a /proc without other users'
 * processes (the audit trail names the program that asked).
 */
export function systemUnits({ program, credential }: { program: Program; credential: boolean }): Unit[] {
  const unit = (name: Unit['name'], ...sections: string[]): Unit => ({
    name,
    text: `${markLine(`systemctl edit ${name}`)}\n${sections.join('\n')}`,
  });
  return [
    unit(
      'cms.service',
      unitSection([]),
      section('Service', {
        ...LIFE,
        User: SYSTEM.user,
        Group: SYSTEM.user,
        ExecStart: execStart(program),
        Environment: environmentLine({ ...SYSTEM.environment, ...(!credential && { CMS_STORE: 'file' }) }),
        StateDirectory: 'cms cms/config cms/state',
        StateDirectoryMode: '0700',
        ConfigurationDirectory: 'cms',
        RuntimeDirectory: 'cms-broker',
        RuntimeDirectoryMode: '0700',
        LoadCredentialEncrypted: credential ? `cms-vault-key:${SYSTEM.credentialFile}` : undefined,
        ...LIMITS,
        ...SANDBOX,
      }),
      section('Install', { WantedBy: 'multi-user.target' }),
    ),
    unit('cms-exim.socket', eximSocketUnit(SYSTEM.eximSocket, { SocketUser: SYSTEM.user, SocketGroup: 'Debian-exim' })),
  ];
}

type Entries = Readonly<Record<string, string | undefined>>;

function section(name: string, entries: Entries): string {
  const lines = Object.entries(entries).flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${value}\n`]));
  return `[${name}]\n${lines.join('')}`;
}

/** systemd does not bind a socket again while the service has it: the service goes down and comes back with it. */
const unitSection = (sockets: readonly string[]): string =>
  section('Unit', {
    Description: 'OAuth 2.0 token broker for mail (cms)',
    PartOf: sockets.length === 0 ? undefined : sockets.join(' '),
    StartLimitIntervalSec: '300',
    StartLimitBurst: '10',
  });

const LIFE: Entries = {
  Type: 'notify',
  NotifyAccess: 'main',
  ExecReload: '/bin/kill -HUP $MAINPID',
  Restart: 'on-failure',
  RestartSec: '5',
  // Usage, a broker that runs already, configuration: trying again fixes none of them.
  RestartPreventExitStatus: '64 73 78',
  // The ticker comes round twice within the half of it.
  WatchdogSec: '120',
  // Clients have 5 s, an exchange has twice 10 s, where the previous refresh token is tried as well.
  TimeoutStopSec: '30',
};

/** Else the file outlives the socket, and who connects to it is refused without a reason. */
const FILE_ENDS: Entries = { RemoveOnStop: 'yes' };

/** Neither a core dump nor swap carries secrets to the disk. */
const LIMITS: Entries = { UMask: '0077', LimitCORE: '0', MemorySwapMax: '0' };

const SANDBOX: Entries = {
  CapabilityBoundingSet: '',
  NoNewPrivileges: 'yes',
  ProtectSystem: 'strict',
  ReadWritePaths: '-/run/cms/cms',
  ProtectHome: 'yes',
  PrivateTmp: 'yes',
  PrivateDevices: 'yes',
  ProtectClock: 'yes',
  ProtectHostname: 'yes',
  ProtectKernelLogs: 'yes',
  ProtectKernelModules: 'yes',
  ProtectKernelTunables: 'yes',
  ProtectControlGroups: 'yes',
  RestrictAddressFamilies: 'AF_UNIX AF_INET AF_INET6 AF_NETLINK',
  RestrictNamespaces: 'yes',
  RestrictRealtime: 'yes',
  RestrictSUIDSGID: 'yes',
  LockPersonality: 'yes',
  RemoveIPC: 'yes',
  SystemCallArchitectures: 'native',
  SystemCallFilter: '@system-service @pkey',
  SystemCallErrorNumber: 'EPERM',
};

function execStart({ node, script }: Program): string {
  return [node, script, 'serve'].map(commandWord).join(' ');
}

function environmentLine(environment: Readonly<Record<string, string>>): string | undefined {
  const words = Object.entries(environment).map(([name, value]) => quotedWord(`${name}=${value}`));
  return words.length === 0 ? undefined : words.join(' ');
}

function privateSocketUnit(path: string): string {
  return [
    section('Unit', { Description: 'private socket of cms' }),
    section('Socket', {
      ListenStream: path.startsWith('%t/') ? path : literal(path),
      FileDescriptorName: 'private',
      SocketMode: '0600',
      DirectoryMode: '0700',
      ...FILE_ENDS,
    }),
    section('Install', { WantedBy: 'sockets.target' }),
  ].join('\n');
}

/** Its folder hands its group on to the socket: an ordinary user could not give it away. */
function eximSocketUnit(path: string, owner: Entries): string {
  return [
    section('Unit', {
      Description: 'socket of cms for exim',
      ConditionPathIsDirectory: literal(path.slice(0, path.lastIndexOf('/'))),
    }),
    section('Socket', {
      ListenStream: literal(path),
      FileDescriptorName: 'exim',
      Service: 'cms.service',
      ...owner,
      SocketMode: '0660',
      ...FILE_ENDS,
    }),
    section('Install', { WantedBy: 'sockets.target' }),
  ].join('\n');
}
