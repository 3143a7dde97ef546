/**
 * A token endpoint that grants everything at once: each refresh token is answered with an access token and another
 * refresh token, as long as real ones. With two files, key and certificate, it speaks https.
 * provider.mjs [KEY CERTIFICATE]     prints its port
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';

const [, , keyFile, certificateFile] = process.argv;

function answer(request, response) {
  request.resume();
  request.on('end', () => {
    if (request.url.endsWith('/openid-configuration')) return send(response, metadata(request.headers.host));
    const token = { access_token: letters(2000), refresh_token: letters(1000), token_type: 'Bearer', expires_in: 3600 };
    return send(response, token);
  });
}

/** For clients that insist on discovery. */
function metadata(host) {
  const issuer = `https://${host}`;
  const endpoints = ['token', 'authorization'].map((name) => [`${name}_endpoint`, `${issuer}/${name}`]);
  const supported = { scopes: ['openid', 'offline_access'], response_types: ['code'], grant_types: ['refresh_token'] };
  const lists = Object.entries(supported).map(([name, values]) => [`${name}_supported`, values]);
  return { issuer, ...Object.fromEntries([...endpoints, ...lists]) };
}

function send(response, body) {
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(JSON.stringify(body));
}

function letters(count) {
  return randomBytes(count / 2).toString('hex');
}

const server =
  keyFile === undefined
    ? createServer(answer)
    : createTlsServer({ key: readFileSync(keyFile), cert: readFileSync(certificateFile) }, answer);
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
