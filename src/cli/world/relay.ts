/** Runs in a host's namespace on one network: passes connections of handed-in sockets on to addresses of that network. */
import net from 'node:net'

type Order = { relay: string; host: string; port: number }

/** Listening sockets by key, with the address that each stands for; an order for a known key changes the address. */
const targets = new Map<string, { host: string; port: number }>()
const servers = new Map<string, net.Server>()

process.on('message', (order: Order, handle: net.Server | undefined) => {
  targets.set(order.relay, { host: order.host, port: order.port })
  if (!handle || servers.has(order.relay)) return handle?.close()
  servers.set(order.relay, handle)
  handle.on('connection', (socket: net.Socket) => pass(socket, order.relay))
})
process.on('disconnect', () => process.exit(0))

function pass(socket: net.Socket, key: string): void {
  const target = targets.get(key)!
  const onward = net.connect({ ...target, allowHalfOpen: true })
  socket.allowHalfOpen = true
  socket.pipe(onward).pipe(socket)
  socket.on('error', () => onward.destroy())
  onward.on('error', () => socket.destroy())
}
