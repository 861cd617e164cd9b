/**
 * Preloaded into a server of the tests: an Internet of its own. `public.example` has a public address, at which a program of
 * the test listens (`INTERNET_PORT`); `inside.example` has a private one. What looks names up and connects is unchanged.
 */
const dns = require('node:dns')
const { Socket } = require('node:net')

const names = { 'public.example': '93.184.216.34', 'inside.example': '10.0.0.1' }

const lookup = dns.lookup
dns.lookup = (hostname, options, callback) => {
  const address = names[hostname]
  if (address === undefined) return lookup(hostname, options, callback)
  process.nextTick(callback, null, options.all ? [{ address, family: 4 }] : address, 4)
}

/** Packets to the public address go to this machine. */
const connect = Socket.prototype.connect
Socket.prototype.connect = function (...args) {
  const options = Array.isArray(args[0]) ? args[0][0] : args[0]
  if (options.host in names && options.lookup) {
    const chosen = options.lookup
    options.port = Number(process.env.INTERNET_PORT)
    options.lookup = (hostname, wanted, callback) =>
      chosen(hostname, wanted, (error) =>
        error
          ? callback(error)
          : callback(null, wanted.all ? [{ address: '127.0.0.1', family: 4 }] : '127.0.0.1', 4),
      )
  }
  return connect.apply(this, args)
}
