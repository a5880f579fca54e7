// The suite's origin server, as it is, but on the loopback interface and a free port.
//
// It prints "Listening on http://127.0.0.1:PORT/" when it takes connections, and runs until it is ended.

import net from 'node:net'
import os from 'node:os'

// The server calls `listen(port)`, which would be every interface.
const listen = net.Server.prototype.listen
net.Server.prototype.listen = function (port, ...rest) {
  return listen.call(this, { port: Number(port), host: '127.0.0.1' }, ...rest)
}

// What its own `npm run server` takes from package.json.
process.env.npm_config_protocol = 'http'
process.env.npm_config_port = '0'
process.env.npm_config_pidfile = os.devNull

await import('http-cache-tests/server/server.mjs')
