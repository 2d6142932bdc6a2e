/** What monitors had found out about servers, carried over a reload: otherwise every DOWN server would be UP again. */
import { canonical } from './address.ts'
import type { Configuration, Server } from './configuration.ts'
import { checkPlace } from './runtime.ts'

/** The text of `server-state-file` for the next worker, of what the present one says to `show servers state`. Only health
 *  is carried, of servers that are asked where they were: haproxy would also take weights, addresses (its own and the
 *  monitor's) and maintenance from it, over the configuration's (measured with 2.6: a server that had been disabled on the
 *  socket stayed so). */
export function serverStates(said: string, wanted: Configuration): string {
  const [version = '', header = '', ...lines] = said.split('\n')
  const columns = header.replace(/^# /, '').split(' ')
  const servers = new Map<string, Server>()
  for (const { kind, name, servers: all } of wanted.sections) {
    if (kind === 'backend') for (const each of all) servers.set(`${name}/${each.name}`, each)
  }
  const kept = lines.flatMap(line => {
    const values = line.split(' ')
    const at = (column: string) => columns.indexOf(column)
    const of = (column: string) => values[at(column)] ?? ''
    const server = servers.get(`${of('be_name')}/${of('srv_name')}`)
    if (server === undefined || server.disabled || !server.rest.includes('check')) return []
    const asked = checkPlace(server)
    const same =
      of('srv_addr') === server.address &&
      of('srv_port') === server.port &&
      canonical(of('srv_check_addr')) === canonical(asked.address) &&
      of('srv_check_port') === asked.port
    if (!same || of('srv_admin_state') !== '0') return []
    for (const column of ['srv_uweight', 'srv_iweight']) values[at(column)] = String(server.weight)
    return [values.join(' ')]
  })
  return [version, header, ...kept, ''].join('\n')
}
