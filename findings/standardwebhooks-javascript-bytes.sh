#!/bin/sh
# Standard Webhooks for JavaScript: a Buffer that is not UTF-8 never verifies.
#
# Versions:   standardwebhooks 1.1.1 and svix 2.5.0, of npm.
# Behaviour:  verify(payload, …) takes a string or a Buffer. A Buffer is made a string
#             before the HMAC is taken, which puts U+FFFD in the place of each byte that
#             is no UTF-8. A right signature of such a body (Protocol Buffers, CBOR) is
#             refused, also with jsonParse: false and with a string by latin1, and there
#             is no option that takes bytes.
# Source:     dist/index.js of standardwebhooks 1.1.1, the method sign: a Buffer becomes
#             payload.toString(), then TextEncoder encodes it; svix 2.5.0 calls it.
# Seen with Node.js 20.20.2:
#             standardwebhooks text ok
#             standardwebhooks bytes refused
#             svix text ok
#             svix bytes refused
#
# It needs Node.js, npm and the network, works in a temporary folder, and exits with 1 if
# the output is another one.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund standardwebhooks@1.1.1 svix@2.5.0 >/dev/null 2>&1
cat >try.js <<'JS'
const { createHmac } = require('node:crypto')
const key = Buffer.alloc(32, 7)
const now = String(Math.floor(Date.now() / 1000))
const bodies = { text: Buffer.from('{"degrees":"°"}'), bytes: Buffer.from([0x0a, 0x01, 0x61, 0x10, 0x96, 0x01]) }
for (const name of ['standardwebhooks', 'svix']) {
  const { Webhook } = require(name)
  const hook = new Webhook('whsec_' + key.toString('base64'))
  for (const [kind, body] of Object.entries(bodies)) {
    const signature = createHmac('sha256', key).update(`id-1.${now}.`).update(body).digest('base64')
    const headers = { 'webhook-id': 'id-1', 'webhook-timestamp': now, 'webhook-signature': 'v1,' + signature }
    const taken = [body, body.toString('latin1')].some((payload) => {
      try {
        hook.verify(payload, headers, { jsonParse: false })
        return true
      } catch {
        return false
      }
    })
    console.log(name, kind, taken ? 'ok' : 'refused')
  }
}
JS
node try.js | tee seen.txt
cat >want.txt <<'END'
standardwebhooks text ok
standardwebhooks bytes refused
svix text ok
svix bytes refused
END
cmp -s seen.txt want.txt || { echo "It behaves otherwise now." >&2; exit 1; }
