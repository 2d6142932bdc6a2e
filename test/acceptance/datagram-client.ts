/** A client that asks by datagrams. A program of its own: `node datagram-client.ts VIP PORT FIRST`, where FIRST is the first
 *  of its own ports. For each line of its input, the name of a group and how many flows that has, it sends one datagram on
 *  each of them (a flow that there was before is the same again) and prints as JSON who answered, by flow: "silence" after a
 *  second, or the error's code. */
import dgram from 'node:dgram'
import { createInterface } from 'node:readline'

/** Who answered, by flow. */
export type Answers = Record<string, string>

const [vip, port, first] = process.argv.slice(2) as [string, string, string]
const flows = new Map<string, dgram.Socket>()
/** A port that was used before may be remembered with its member. */
let next_port = Number(first)

async function flow(name: string): Promise<dgram.Socket> {
  const known = flows.get(name)
  if (known) return known
  const socket = dgram.createSocket(vip.includes(':') ? 'udp6' : 'udp4')
  flows.set(name, socket)
  // a port that somebody has throws here, and nobody waits in vain
  await new Promise<void>(resolve => socket.bind(next_port++, resolve))
  socket.on('error', () => {})
  await new Promise<void>(resolve => socket.connect(Number(port), vip, resolve))
  return socket
}

async function answer(name: string): Promise<string> {
  const socket = await flow(name)
  return new Promise(resolve => {
    const heard = (message: Buffer) => end(message.toString())
    const failed = (error: NodeJS.ErrnoException) => end(error.code ?? 'error')
    const end = (text: string) => {
      clearTimeout(timer)
      socket.off('message', heard).off('error', failed)
      resolve(text)
    }
    const timer = setTimeout(end, 1_000, 'silence')
    socket.on('message', heard).on('error', failed)
    socket.send('hi', error => error && failed(error))
  })
}

console.log('started')
for await (const line of createInterface({ input: process.stdin })) {
  const [group, count] = line.split(' ')
  const names = Array.from({ length: Number(count) }, (_, n) => `${group}-${n}`)
  const pairs = await Promise.all(names.map(async name => [name, await answer(name)]))
  console.log(JSON.stringify(Object.fromEntries(pairs) as Answers))
}
process.exit()
