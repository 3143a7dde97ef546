/**
 * `cms serve`. It stays for months, so it does without the command framework, which would take a quarter of its memory.
 */
import { url as inspectorUrl } from 'node:inspector';
import { takeActivatedSockets } from '../../lib/broker/server/activation.ts';
import { Daemon } from '../../lib/broker/server/daemon.ts';
import { takeServiceManager } from '../../lib/broker/server/service-manager.ts';
import { openContext } from '../../lib/context.ts';
import { onEndRequests } from '../../lib/os/ending.ts';
import { grantsLost } from '../../lib/tokens/failures.ts';
import { openTokens } from '../../lib/tokens/open.ts';
import { CmsError, messageOf, toCmsError } from '../../lib/core/errors.ts';
import { exposedBy } from '../../lib/os/exposure.ts';
import type { Logger } from '../../lib/core/log.ts';
import { forbidDumps } from '../../lib/os/libc.ts';
import type { Environment } from '../../lib/os/paths.ts';
import { createLogger } from '../../lib/terminal/pretty-log.ts';
import { reportFailure } from '../report-failure.ts';
import { logOnStderr } from '../../lib/os/stderr.ts';
import { parseServeArguments, type ServeArguments } from './serve-arguments.ts';

/** How long the reader of the log may take once the broker has ended. */
const LAST_WORDS_MS = 1000;

/** Runs the broker until it is asked to end. @returns its exit status */
export async function serveMain(argv: readonly string[], env: Environment, version: string): Promise<number> {
  try {
    forbidDumps();
    await serve(parseServeArguments(argv), env, version);
    return 0;
  } catch (error) {
    const failure = toCmsError(error);
    reportFailure(failure, false);
    return failure.exitStatus;
  } finally {
    // What still waits for the reader of the log would keep the process.
    setTimeout(() => process.exit(), LAST_WORDS_MS).unref();
  }
}

async function serve({ logFormat, logLevel, socket }: ServeArguments, env: Environment, version: string) {
  refuseExposure(env);
  const log = createLogger({ format: logFormat, level: logLevel, write: logOnStderr() });
  const activated = takeActivatedSockets(env, process.pid);
  const manager = takeServiceManager(env, process.pid);
  const context = openContext(env, { log });
  const asked = ended();
  const starting = Daemon.start({
    ...context,
    openTokens: (options) => openTokens(context, options),
    sockets: socket === undefined ? [] : [socket],
    version,
    activated,
    manager,
    asked,
  });
  reloadAtHangup(starting, log);
  const daemon = await starting;
  const failure = await Promise.race([asked, daemon.failed]);
  log.info('ending');
  await daemon.stop();
  if (daemon.unstored.length > 0) throw grantsLost(daemon.unstored);
  if (failure !== undefined) throw failure;
}

/** Before anybody can know that the broker is there: a SIGHUP without a listener would end it. */
function reloadAtHangup(starting: Promise<Daemon>, log: Logger): void {
  process.on('SIGHUP', () => {
    starting
      .then((daemon) => daemon.reload())
      .catch((error: unknown) => {
        log.error('not reloaded; everything stays as it was', { reason: messageOf(error) });
      });
  });
}

/** Anyone who reaches an open debugger, or a copy of the memory, can read every token. */
function refuseExposure(env: Environment): void {
  if (inspectorUrl() !== undefined) {
    throw new CmsError('config_invalid', 'the broker does not run with a debugger open', {
      suggestions: ['take --inspect out of NODE_OPTIONS and of the command line'],
    });
  }
  const exposure = exposedBy(process.execArgv, env);
  if (exposure === undefined) return;
  throw new CmsError('config_invalid', `the broker does not run with ${exposure}, which can disclose tokens`, {
    suggestions: [
      exposure.startsWith('-') ? `take ${exposure} out of NODE_OPTIONS and of the command line` : `unset ${exposure}`,
    ],
  });
}

/** Resolves at the first request to end; a later one ends the process immediately. */
function ended(): Promise<void> {
  return new Promise((resolve) => {
    const again = (): void => void process.kill(process.pid, 'SIGKILL');
    onEndRequests(['SIGTERM', 'SIGINT'], { first: () => resolve(), again });
  });
}
