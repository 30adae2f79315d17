// Node's undici through the proxy: in absolute form, and with everything in tunnels. Argument: one JSON object.
// Prints `ok NAME` for each thing that works.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const where = JSON.parse(process.argv[2]);
// undici is installed beside the build, not beside this file.
const { ProxyAgent, WebSocket, request } = createRequire(where.modules + '/')('undici');

function ok(name, holds, why) {
  if (!holds) {
    console.error(`${name}: ${JSON.stringify(why)}`);
    process.exit(1);
  }
  console.log('ok', name);
}

async function* pieces() {
  for (let n = 0; n < 100; n++) yield Buffer.from(`piece ${n} `.repeat(50));
}

async function digest(body) {
  const total = createHash('sha256');
  for await (const piece of body) total.update(piece);
  return total.digest('hex');
}

for (const [mode, proxyTunnel] of [['absolute', false], ['tunnel', true]]) {
  const ca = readFileSync(where.ca);
  const dispatcher = new ProxyAgent({ uri: where.proxy, proxyTunnel, requestTls: { ca } });
  const ask = async (url, options) => {
    const answer = await request(url, { dispatcher, ...options });
    return { status: answer.statusCode, headers: answer.headers, body: answer.body };
  };
  let text;
  for (let n = 0; n < 20; n++) {
    const answer = await ask(`${where.http}/keep/${n}`);
    text = await answer.body.text();
    ok(`${mode} page ${n}`, answer.status === 200 && text.includes('hello from'), text);
  }
  let expected = 0;
  for await (const piece of pieces()) expected += piece.length;
  let answer = await ask(`${where.http}/count`, { method: 'POST', body: pieces() });
  text = await answer.body.text();
  ok(`${mode} chunked upload`, Number(text) === expected, text);
  answer = await ask(`${where.http}/bytes/1000`, { method: 'HEAD' });
  ok(`${mode} HEAD`, answer.headers['content-length'] === '1000' && (await answer.body.text()) === '', answer.headers);
  answer = await ask(`${where.http}/etag`);
  await answer.body.text();
  answer = await ask(`${where.http}/etag`, { headers: { 'if-none-match': answer.headers.etag } });
  ok(`${mode} 304`, answer.status === 304 && (await answer.body.text()) === '', answer.status);
  answer = await ask(where.http + where.download);
  ok(`${mode} download`, (await digest(answer.body)) === where.sha256, answer.status);
  answer = await ask(`${where.https}/`);
  text = await answer.body.text();
  ok(`${mode} https`, text.includes('hello from'), text);
  // In a tunnel to a refused site the agent reports the answer to its CONNECT.
  const refusal = await ask(where.refused).then(
    async (answer) => `${answer.status} ${await answer.body.text()}`,
    (error) => String(error),
  );
  ok(`${mode} refusal`, proxyTunnel ? /403|Proxy response/.test(refusal) : /^403[^]*Contenus pour adultes/.test(refusal), refusal);

  const echoed = await new Promise((resolve) => {
    const socket = new WebSocket(where.ws, { dispatcher });
    const heard = [];
    socket.addEventListener('open', () => socket.send('one'));
    socket.addEventListener('message', (event) => {
      heard.push(event.data);
      if (heard.length === 3) socket.close();
      else socket.send(['two', 'three'][heard.length - 1]);
    });
    socket.addEventListener('close', () => resolve(heard.join(' ')));
    socket.addEventListener('error', (event) => resolve(`error ${event.message ?? event.error}`));
  });
  ok(`${mode} websocket`, echoed === 'one two three', echoed);
  await dispatcher.close();
}
