import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { temporaryHome } from './environment.ts';
import { BROWSER_PERSON } from './person.ts';
import { run } from './processes.ts';
import { ENDPOINT, startProvider } from './provider.ts';
import { closeServer, listen } from './provider/gateway.ts';

describe('the person as $BROWSER', () => {
  for (const [consent, expected] of [
    ['allow', 'code'],
    ['deny', 'error'],
  ] as const) {
    it(`is a program that needs no loader, takes the address as its argument and can ${consent}`, async () => {
      const provider = await startProvider();
      const home = await temporaryHome();
      const asked: string[] = [];
      const server = createServer((request, response) => {
        asked.push(request.url ?? '');
        response.end('thank you');
      });
      try {
        const query = new URLSearchParams({
          client_id: provider.clientId,
          redirect_uri: `http://127.0.0.1:${await listen(server)}/`,
          response_type: 'code',
          scope: 'openid',
          code_challenge: 'x'.repeat(43),
          code_challenge_method: 'S256',
        });
        const log = join(home.path, 'log');
        const choices = { CMS_TEST_LOGIN: 'jane@example.org', CMS_TEST_CONSENT: consent, CMS_TEST_BROWSER_LOG: log };
        const url = `${provider.issuer}${ENDPOINT.authorization}?${query.toString()}`;
        const { status, stderr } = await run(BROWSER_PERSON, [url], { env: { ...home.env, ...choices } });
        assert.deepEqual([status, stderr], [0, '']);
        assert.equal(asked.length, 1);
        assert.ok(new URL(asked[0] ?? '', provider.issuer).searchParams.has(expected));
        assert.equal((JSON.parse(await readFile(log, 'utf8')) as { body: string }).body, 'thank you');
      } finally {
        await closeServer(server);
        await provider.stop();
        await home.remove();
      }
    });
  }
});
