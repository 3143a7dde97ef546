import assert from 'node:assert/strict';
import { exposedBy } from '../../../src/lib/os/exposure.ts';

describe('what exposes the memory of a process', () => {
  for (const option of [
    ...['--inspect', '--inspect-brk=0', '--inspect-port=9229', '--debug-port=9229', '--inspect-publish-uid=http'],
    ...['--experimental-network-inspection', '--experimental-worker-inspection', '--inspect-wait', '--debug'],
    ...['--heapsnapshot-signal=SIGUSR2', '--heapsnapshot-near-heap-limit=1', '--heap-prof', '--heap-prof-dir=/tmp'],
    ...['--heap-snapshot-on-oom', '--cpu-prof', '--cpu-prof-name=x', '--prof', '--ll-prof', '--perf-basic-prof'],
    ...['--report-on-signal', '--report-signal=SIGUSR2', '--report-on-fatalerror', '--report-uncaught-exception'],
    ...['--diagnostic-dir=/tmp', '--abort-on-uncaught-exception', '--build-snapshot'],
    ...[
      '--trace-event-categories=v8',
      '--trace-tls',
      '--trace-gc',
      '--trace',
      '--log-all',
      '--logfile=/tmp/x',
      '--log',
    ],
    ...['--tls-keylog=/tmp/keys', '--experimental-config-file=x.json', '--experimental-default-config-file'],
    ...['--heapsnapshot_signal=SIGUSR2', '--heap_prof', '-prof'],
  ]) {
    const name = option.replace(/=.*/, '');
    it(`is ${option}`, () => {
      assert.equal(exposedBy([option], {}), name);
      assert.equal(exposedBy([], { NODE_OPTIONS: `--max-old-space-size=100 ${option} --no-warnings` }), name);
      assert.equal(exposedBy([], { NODE_OPTIONS: `"${option}"` }), name);
    });
  }

  for (const option of [
    ...['--max-old-space-size=100', '--max-semi-space-size=1', '--stack-trace-limit=50', '--enable-source-maps'],
    ...['--use-openssl-ca', '--use-system-ca', '--tls-min-v1.3', '--tls-cipher-list=x', '--dns-result-order=ipv4first'],
    ...['--no-warnings', '--no-deprecation', '--trace-warnings', '--trace-deprecation', '--trace-uncaught'],
    ...['--require=/inspect.js', '--import=./heap-prof.mjs', '-r', '--disable-sigusr1', '--jitless', '--secure-heap=2'],
    ...['--title=--heap-prof', '--no-network-family-autoselection', '--openssl-legacy-provider', '--expose-gc'],
  ]) {
    it(`is not ${option}`, () => {
      assert.equal(exposedBy([option], { NODE_OPTIONS: option }), undefined);
    });
  }

  it('is found between quotes as Node reads them', () => {
    for (const text of ['"--title=a b" --heap-prof', '--title="a \\" b" --heap-prof', '--heap"-prof"', '  --heap-prof'])
      assert.equal(exposedBy([], { NODE_OPTIONS: text }), '--heap-prof', text);
    for (const text of ['"--title=a --heap-prof"', '--title="a \\" --heap-prof"', '', ' '])
      assert.equal(exposedBy([], { NODE_OPTIONS: text }), undefined, text);
  });

  it('is the log of headers that NODE_DEBUG asks for', () => {
    for (const value of ['http', 'net,HTTP', '*', 'h*'])
      assert.equal(exposedBy([], { NODE_DEBUG: value }), 'NODE_DEBUG');
    for (const value of ['', 'net,tls', 'fs']) assert.equal(exposedBy([], { NODE_DEBUG: value }), undefined);
  });
});
