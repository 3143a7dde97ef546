/** All links in their order, from the files to the service. What can be known at once decides which checks there are. */
import type { Account } from '../accounts/account.ts';
import { findAccount, accountUnknown } from '../accounts/store.ts';
import { brokerSocket } from '../broker/find.ts';
import type { Context } from '../context.ts';
import { CmsError } from '../core/errors.ts';
import type { Run } from '../os/process.ts';
import type { FrozenMail } from '../exim/queue.ts';
import { type Installed, readInstalled } from '../exim/install/installed.ts';
import type { Program } from '../service/program.ts';
import type { Settings } from '../config/settings.ts';
import { accountSteps, type TokenPorts } from './checks/account.ts';
import { askBroker, type BrokerAnswer, type BrokerLook, brokerSteps } from './checks/broker.ts';
import { eximSteps } from './checks/exim.ts';
import { fileSteps, type Opened, openFiles } from './checks/files.ts';
import { type Check, keyOf, ok, warning } from './check.ts';
import { hookSteps, notifySteps } from './checks/hooks.ts';
import { keyStep } from './checks/key.ts';
import { mtaSteps, type Probe } from './checks/mta.ts';
import { ENDPOINT_ID, endpointKey, endpointsOf, endpointSteps, providerSteps } from './checks/provider.ts';
import { type ServiceFacts, serviceFacts, type ServiceLook, serviceSteps } from './checks/service.ts';
import { readSplit } from './checks/split.ts';
import { isOfHost, RESTART_OF_HOST, type SystemFacts, systemSteps } from './checks/system.ts';
import { type Step, walk } from './run-checks.ts';

export interface DoctorOptions extends TokenPorts {
  context: Context;
  /** Accounts to look at, by address or alias; all when empty. */
  addresses: readonly string[];
  refresh: boolean;
  version: string;
  program: Program;
  user: string;
  uid: number | undefined;
  hostName: string;
  run: Run;
  probe: Probe;
  /** What lies frozen in exim's queue; undefined where exim does not show it. */
  frozen: () => Promise<FrozenMail | undefined>;
  /** Of the service of the whole host. */
  system: SystemFacts;
  /** Milliseconds since the epoch. */
  now: () => number;
  done: (check: Check) => void;
}

/**
 * Walks every link. What is wrong is a result.
 * @throws CmsError `account_unknown` for one of `addresses`
 */
export async function examine(options: DoctorOptions): Promise<Check[]> {
  const { context, now, done } = options;
  const opened = await openFiles(context);
  const accounts = accountsOf(opened, options.addresses);
  const steps = accounts.length === 0 ? noAccountSteps(options, opened) : await allSteps(options, opened, accounts);
  return walk(steps, { now, done });
}

function accountsOf({ file }: Opened, addresses: readonly string[]): Account[] {
  if (file instanceof CmsError) return [];
  const all = Object.values(file.accounts).sort((a, b) => (a.address < b.address ? -1 : 1));
  if (addresses.length === 0) return all;
  const found = addresses.map((address) => {
    const account = findAccount(file.accounts, address);
    if (account === undefined) throw accountUnknown(address, Object.keys(file.accounts));
    return account;
  });
  return [...new Set(found)];
}

/** Nothing follows from files that cannot be read, and nothing from no accounts. */
function noAccountSteps({ context, uid, system }: DoctorOptions, opened: Opened): Step[] {
  const files = fileSteps(context, opened, uid);
  const needs = files.map(keyOf);
  const later = (id: string): Step => ({ id, subject: '', needs, look: () => Promise.resolve(ok('')) });
  if (opened.file instanceof CmsError)
    return [...files, ...['key', 'provider', 'token', 'login', 'exim'].map(later), ...systemSteps(system)];
  const none = warning('no account yet', { fix: ['cms account add jane@example.org   # signs one in'] });
  return [...files, { id: 'accounts', subject: '', needs, look: () => Promise.resolve(none) }, ...systemSteps(system)];
}

async function allSteps(options: DoctorOptions, opened: Opened, accounts: readonly Account[]): Promise<Step[]> {
  const { context, uid, now } = options;
  const file = opened.file instanceof CmsError ? undefined : opened.file;
  const settings: Settings | undefined = opened.settings instanceof CmsError ? undefined : opened.settings;
  const { sockets = [], hooks = {}, notify = {} } = settings ?? {};
  const privateSocket = brokerSocket(context.paths);
  const [answer, installed, split] = await Promise.all([
    askBroker(privateSocket),
    readInstalled(context.paths).catch(() => undefined),
    readSplit(),
  ]);
  const brokerRuns = answer !== undefined && 'status' in answer;
  const brokerError = answer !== undefined && 'error' in answer ? answer.error : undefined;
  const files = fileSteps(context, opened, uid);
  const folders = files.filter(({ id }) => id === 'files.folder' || id === 'files.accounts').map(keyOf);
  const config = keyOf({ id: 'files.config', subject: context.paths.configFile });
  const above = files.filter(({ subject }) => isIn(subject, privateSocket)).map(keyOf);
  const service: ServiceLook = {
    ...options,
    env: context.env,
    brokerPid: brokerRuns ? answer.status.broker.pid : undefined,
  };
  const facts = await serviceFacts(service);
  const endpoints = endpointsOf(accounts);
  const provider = [...endpoints.values()].flatMap((endpoint) => providerSteps(endpoint, [], now));
  const faulty = endpointSteps(accounts, context.paths.accountsFile);
  const providerKey = (account: Account): string | undefined => {
    if (account.kind !== 'oauth') return undefined;
    const subject = endpoints.get(endpointKey(account))?.subject;
    if (subject === undefined) return keyOf({ id: ENDPOINT_ID, subject: account.address });
    return keyOf({ id: 'provider.answer', subject });
  };
  return [
    ...files,
    keyStep(context, {
      record: file?.vault_key,
      needs: folders,
      brokerRuns,
      addresses: Object.keys(file?.accounts ?? {}),
    }),
    ...faulty,
    ...provider,
    ...accounts.flatMap((account) =>
      accountSteps({
        ...{ context, account, ports: options, refresh: options.refresh, brokerRuns, brokerError, now },
        files: folders,
        key: 'key',
        provider: providerKey(account),
      }),
    ),
    ...brokerSteps(brokerLook(options, answer, sockets, installed, facts), config, above),
    ...(await mtaSteps(options.run, options.probe, sockets)),
    ...(await eximSteps({ ...options, env: context.env, accounts: allAccounts(opened), installed, split }, [])),
    ...hookSteps(hooks, uid ?? -1),
    ...notifySteps(notify, allAccounts(opened)),
    ...serviceSteps(service, facts),
    ...systemSteps(options.system),
  ];
}

function isIn(folder: string, path: string): boolean {
  return path.startsWith(`${folder}/`);
}

function allAccounts({ file }: Opened): Account[] {
  return file instanceof CmsError ? [] : Object.values(file.accounts).sort((a, b) => (a.address < b.address ? -1 : 1));
}

/** What is known of the broker, and how it is started, restarted and reloaded here. */
export function brokerLook(
  {
    context,
    version,
    uid,
    system,
  }: Pick<DoctorOptions, 'version' | 'uid' | 'system'> & {
    context: Pick<Context, 'paths'>;
  },
  answer: BrokerAnswer,
  sockets: Settings['sockets'],
  installed: Installed | undefined,
  { units, state }: ServiceFacts,
): BrokerLook {
  const managed = units.length > 0 && state !== undefined;
  const pid = answer !== undefined && 'status' in answer ? answer.status.broker.pid : undefined;
  return {
    ...{ answer, version, sockets, uid },
    privateSocket: brokerSocket(context.paths),
    ...(isOfHost(system, context.paths)
      ? {
          start: `${RESTART_OF_HOST}   # then: sudo journalctl -u cms -e`,
          restart: RESTART_OF_HOST,
          reload: 'sudo systemctl reload cms.service',
        }
      : {
          start: managed ? 'systemctl --user restart cms   # then: journalctl --user -u cms -e' : 'cms serve',
          restart: managed
            ? 'systemctl --user restart cms.socket cms.service'
            : `kill ${pid ?? 'PID'}; sleep 2; cms serve`,
          reload: managed ? 'systemctl --user reload cms' : `kill -HUP ${pid ?? 'PID'}`,
        }),
    reliedOnBy: [
      ...(installed === undefined ? [] : ['exim']),
      ...(sockets.length === 0 ? [] : ['the sockets of config.toml']),
      ...(units.length === 0 ? [] : ['the service, which does not run it']),
    ],
  };
}
