/** haproxy's runtime socket: commands, and a difference applied and then verified. */
import net from 'node:net'
import { canonical } from './address.ts'
import type { Configuration, Server } from './configuration.ts'
import type { Operation } from './difference.ts'

/** Sends one command and resolves with haproxy's answer, trimmed. */
export function ask(socket_path: string, command: string, timeout_ms = 5_000): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = net.connect(socket_path, () => socket.write(`${command}\n`))
    socket.setEncoding('utf8').setTimeout(timeout_ms, () => socket.destroy(new Error('haproxy does not answer')))
    socket.on('data', text => {
      answer += text
    })
    socket.on('error', reject)
    socket.on('end', () => resolve(answer.trim()))
    socket.on('close', () => reject(new Error('haproxy hung up')))
  })
}

/** Applies the operations. Rejects with what haproxy said when it refuses one: then it runs neither the old nor the new
 *  configuration, and has to be reloaded. `leaving` gets the servers that are out of service but still have connections,
 *  as `backend/server`; deleteLeft() deletes them later. */
export async function applyOperations(socket: string, operations: Operation[], leaving: Set<string>): Promise<void> {
  for (const operation of operations) {
    switch (operation.kind) {
      case 'global_maxconn':
        await expectSilence(socket, `set maxconn global ${operation.maxconn}`)
        break
      case 'frontend_maxconn':
        await expectSilence(socket, `set maxconn frontend ${operation.frontend} ${operation.maxconn}`)
        break
      case 'weight':
        await expectSilence(socket, `set server ${operation.backend}/${operation.name} weight ${operation.weight}`)
        break
      case 'state': {
        const state = operation.disabled ? 'maint' : 'ready'
        await expectSilence(socket, `set server ${operation.backend}/${operation.name} state ${state}`)
        break
      }
      case 'address':
        // Its answer tells what changed, in many forms; verifyServers() looks at the outcome.
        await ask(
          socket,
          `set server ${operation.backend}/${operation.name} addr ${operation.address} port ${operation.port}`,
        )
        break
      case 'check_place': {
        const server = `set server ${operation.backend}/${operation.name}`
        if (operation.address !== null) await ask(socket, `${server} check-addr ${operation.address}`)
        if (operation.port !== null) await ask(socket, `${server} check-port ${operation.port}`)
        break
      }
      case 'add':
        await add(socket, operation.backend, operation.server, leaving)
        break
      case 'replace':
        await replace(socket, operation.backend, operation.server, leaving)
        break
      case 'remove':
        await takeOut(socket, operation.backend, operation.name, leaving)
    }
  }
}

/** Tries once more to delete the servers that are out of service. */
export async function deleteLeft(socket: string, leaving: Set<string>): Promise<void> {
  for (const place of leaving) {
    const said = await ask(socket, `del server ${place}`)
    if (said === 'Server deleted.' || said === 'No such server.') leaving.delete(place)
  }
}

/** Rejects unless haproxy's servers are the configuration's; those that are leaving may still be there. */
export async function verifyServers(socket: string, wanted: Configuration, leaving: Set<string>): Promise<void> {
  const present = await serversOf(socket)
  for (const { kind, name: backend, servers } of wanted.sections) {
    if (kind !== 'backend') continue
    for (const server of servers) {
      const place = `${backend}/${server.name}`
      const found = present.get(place)
      if (found === undefined) throw new Error(`server ${place} is missing`)
      const expected = state(server.address, server.port, server.weight, server.disabled, checkPlace(server))
      if (found !== expected) throw new Error(`server ${place} is ${found} instead of ${expected}`)
      present.delete(place)
    }
  }
  for (const place of leaving) present.delete(place)
  if (present.size > 0) throw new Error(`servers are left over: ${[...present.keys()].join(', ')}`)
}

/** Servers that haproxy has and the configuration lacks: taken out of service earlier, and not yet deleted. */
export async function leftOver(socket: string, wanted: Configuration): Promise<Set<string>> {
  const left = new Set((await serversOf(socket)).keys())
  for (const { kind, name, servers } of wanted.sections) {
    if (kind === 'backend') for (const server of servers) left.delete(`${name}/${server.name}`)
  }
  return left
}

async function add(socket: string, backend: string, server: Server, leaving: Set<string>): Promise<void> {
  const place = `${backend}/${server.name}`
  if (leaving.has(place)) await deleteLeft(socket, leaving)
  const { address, port, weight, rest, disabled } = server
  const line = ['add server', place, `${address}:${port}`, 'weight', weight, ...rest].join(' ')
  const said = await ask(socket, line)
  if (!said.includes('New server registered')) throw new Error(`${line}: ${said}`)
  if (rest.includes('check')) await expectSilence(socket, `enable health ${place}`)
  if (!disabled) await expectSilence(socket, `enable server ${place}`)
}

/** What its monitor had found out stays: a new server is UP until it fails. */
async function replace(socket: string, backend: string, server: Server, leaving: Set<string>): Promise<void> {
  const said = await ask(socket, `show servers state ${backend}`)
  const [, header = '', ...lines] = said.split('\n')
  const at = (column: string) => header.replace(/^# /, '').split(' ').indexOf(column)
  const values = lines.find(line => line.split(' ')[at('srv_name')] === server.name)?.split(' ') ?? []
  await takeOut(socket, backend, server.name, leaving)
  await add(socket, backend, server, leaving)
  const down = values[at('srv_op_state')] === '0' && values[at('srv_admin_state')] === '0'
  if (down && server.rest.includes('check') && !server.disabled) {
    await expectSilence(socket, `set server ${backend}/${server.name} health down`)
  }
}

async function takeOut(socket: string, backend: string, name: string, leaving: Set<string>): Promise<void> {
  await expectSilence(socket, `set server ${backend}/${name} state maint`)
  leaving.add(`${backend}/${name}`)
  await deleteLeft(socket, leaving)
}

async function expectSilence(socket: string, command: string): Promise<void> {
  const said = await ask(socket, command)
  if (said !== '') throw new Error(`${command}: ${said}`)
}

/** What counts of each server, by `backend/server`. */
async function serversOf(socket: string): Promise<Map<string, string>> {
  const [, header = '', ...lines] = (await ask(socket, 'show servers state')).split('\n')
  const columns = header.replace(/^# /, '').split(' ')
  const found = new Map<string, string>()
  for (const line of lines) {
    const values = line.split(' ')
    const of = (column: string) => values[columns.indexOf(column)] ?? ''
    if (of('srv_name') === '') continue
    const disabled = (Number(of('srv_admin_state')) & FORCED_MAINTENANCE) !== 0
    const place = { address: of('srv_check_addr'), port: of('srv_check_port') }
    const text = state(of('srv_addr'), of('srv_port'), Number(of('srv_uweight')), disabled, place)
    found.set(`${of('be_name')}/${of('srv_name')}`, text)
  }
  return found
}

const FORCED_MAINTENANCE = 1

function state(address: string, port: string, weight: number, disabled: boolean, check: Place): string {
  const place = `${canonical(address)}:${port} weight ${weight}${disabled ? ' disabled' : ''}`
  return `${place} check ${canonical(check.address)}:${check.port}`
}

type Place = { address: string; port: string }

/** As `show servers state` tells it: nothing where it is the server's own. */
export function checkPlace({ rest }: Server): Place {
  const of = (word: string) => (rest.includes(word) ? rest[rest.indexOf(word) + 1] : undefined)
  return { address: of('addr') ?? '-', port: of('port') ?? '0' }
}
