// A real authorization server for the tests: npm's oidc-provider with its own sign-in and consent pages.
//
//   RIG_CLIENT_SECRET=… node server.mjs '{"port": 0, "accessTokenTtl": 3600, "deviceCodeTtl": 600}'
//
// Prints one line of JSON, {"issuer": …}, once it listens on 127.0.0.1 (port 0: any free one), and
// ends when its standard input closes or on SIGTERM. Any name with any password signs in.
//
// Besides the protocol it answers what a test wants to know:
//   GET  /rig/issued            every code and token issued so far, as a list
//   POST /rig/active {"token"}  {"active": bool}: whether the server still honours it
//   GET  /rig/stats             {"routes": {name: n}, "grants": {grant_type: {"granted": n, "refused": n}}}

import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';

import { rememberingAdapter } from './memory.mjs';

// Notices that this is no production server are true and of no use here. Silenced before the import.
console.warn = () => {};
console.info = () => {};
const { default: Provider } = await import('oidc-provider');

const options = { port: 0, accessTokenTtl: 3600, deviceCodeTtl: 600, ...JSON.parse(process.argv[2] ?? '{}') };
const issued = new Set();
const stats = { routes: {}, grants: {} };

const native = {
  application_type: 'native', // so that a loopback redirect matches whatever its port (RFC 8252)
  redirect_uris: ['http://127.0.0.1/callback', 'http://[::1]/callback', 'http://localhost/callback'],
  response_types: ['code'],
  grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
};

const configuration = {
  adapter: rememberingAdapter(issued),
  clients: [
    { ...native, client_id: 'rig-public', token_endpoint_auth_method: 'none' },
    {
      ...native,
      client_id: 'rig-confidential',
      client_secret: process.env.RIG_CLIENT_SECRET ?? randomBytes(24).toString('hex'),
      token_endpoint_auth_method: 'client_secret_basic',
    },
  ],
  cookies: { keys: [randomBytes(24).toString('hex')] },
  scopes: ['openid', 'offline_access', 'profile', 'email'],
  claims: { profile: ['name'], email: ['email'] },
  findAccount: (_ctx, name) => ({
    accountId: name,
    claims: () => ({ sub: name, name, email: `${name}@example.test` }),
  }),
  features: {
    deviceFlow: { enabled: true },
    registration: { enabled: true },
    revocation: { enabled: true },
  },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  ttl: { AccessToken: options.accessTokenTtl, DeviceCode: options.deviceCodeTtl },
};

const increment = (counts, name) => { counts[name] = (counts[name] ?? 0) + 1; };

/** Counts each request by its route, token requests by grant, and keeps what only answers hold. */
async function observe(ctx, next) {
  await next();
  const { route, params } = ctx.oidc ?? {};
  if (!route) return;
  increment(stats.routes, route);
  if (route === 'registration' && ctx.body?.client_secret) issued.add(ctx.body.client_secret);
  if (route === 'token' && params?.grant_type) {
    const grant = (stats.grants[params.grant_type] ??= { granted: 0, refused: 0 });
    increment(grant, ctx.status === 200 ? 'granted' : 'refused');
    if (ctx.body?.id_token) issued.add(ctx.body.id_token);
  }
}

async function active(provider, token) {
  for (const kind of ['AccessToken', 'RefreshToken', 'AuthorizationCode', 'DeviceCode']) {
    const found = await provider[kind].find(token);
    if (found) {
      const waiting = kind === 'DeviceCode' && !found.grantId && !found.error;
      return found.isValid && (waiting || Boolean(await provider.Grant.find(found.grantId)));
    }
  }
  return false;
}

async function bodyOf(request) {
  let text = '';
  for await (const piece of request) text += piece;
  return JSON.parse(text);
}

async function answerRig(provider, request) {
  switch (`${request.method} ${request.url}`) {
    case 'GET /rig/issued': return [...issued];
    case 'GET /rig/stats': return stats;
    case 'POST /rig/active': return { active: await active(provider, (await bodyOf(request)).token) };
    default: return undefined;
  }
}

async function serve(provider, protocol, request, response) {
  if (!request.url.startsWith('/rig/')) {
    // The server knows only the OpenID document; RFC 8414's stands beside it with the same content.
    if (request.url === '/.well-known/oauth-authorization-server') request.url = '/.well-known/openid-configuration';
    protocol(request, response);
    return;
  }
  const answer = await answerRig(provider, request).catch((error) => ({ error: String(error) }));
  response.writeHead(answer === undefined ? 404 : answer.error ? 400 : 200, { 'content-type': 'application/json' });
  response.end(JSON.stringify(answer ?? {}));
}

const server = createServer();
server.listen(options.port, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, configuration);
  provider.use(observe);
  provider.on('server_error', (_ctx, error) => console.error(error));
  const protocol = provider.callback();
  server.on('request', (request, response) => serve(provider, protocol, request, response));
  console.log(JSON.stringify({ issuer }));
});

const end = () => process.exit(0);
process.on('SIGTERM', end);
process.stdin.on('end', end).on('error', end).resume();
