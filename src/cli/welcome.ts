/** What a person sees when the stack is up: what answers, where the APIs are, and the lines to go on with. */
import type { State } from './state.ts'
import { defaultStateDir } from './state.ts'
import type { Answers } from './world/demo.ts'
import type { Status } from './world/status.ts'

/** A page for a person. `answers`: how often each text came back through demo-lb's VIP, where that was just tried. */
export function welcome(state: State, status: Status, answers: Answers = {}): string {
  const own = state.dir === defaultStateDir ? '' : ` --state ${state.dir}`
  const lb = status.load_balancers.find(l => l.host_address !== null)
  const servers = status.servers.map(s => [s.name, s.status, s.addresses.join('  ')])
  const balancers = status.load_balancers.map(l => [
    l.name,
    l.provisioning_status,
    `${l.vip_address}${l.host_address ? `  = http://${l.host_address} on this machine` : ''}`,
  ])
  const amphorae = status.load_balancers.flatMap(l => l.amphorae.map(a => [a.id, l.name, stateOf(a)]))
  const e = status.endpoints
  const member = 'neutron lbaas-member-create --subnet private-subnet --protocol-port 80 --address'
  const addresses = status.servers.filter(s => s.name.startsWith('web')).map(s => s.addresses[0] ?? '')
  const tried = Object.entries(answers).map(([text, count]) => [`“${text}”`, '', `${count} times`])
  const warning = status.breaker_open_since
    ? `\nSilent amphorae are not replaced since ${status.breaker_open_since}: too many fell silent at once.\n./ottavia explain${own} NAME tells more.\n`
    : ''
  return `${warning}
${tried.length > 0 ? `${table([['answered through the VIP', '', ''], ...tried])}\n` : ''}${table([['load balancer', '', 'VIP'], ...balancers])}
${
  amphorae.length > 0
    ? `${table([['amphora', 'of', ''], ...amphorae])}
`
    : ''
}${table([['server', '', 'addresses'], ...servers])}
${table([
  ['API', '', ''],
  ['identity (Keystone)', '', e.identity],
  ['network (Neutron, with /v2.0/lbaas)', '', e.network],
  ['compute (Nova)', '', e.compute],
  ['image (Glance)', '', e.image],
  ['key manager (Barbican)', '', e.key_manager],
  ['load balancer (Octavia)', '', e.load_balancer],
])}
Go on in another terminal:
${lb ? `\n    curl http://${lb.host_address}/` : ''}
    ./ottavia exec${own} -- curl http://${lb?.vip_address ?? addresses[0] ?? '10.0.0.10'}/        # as a host on network private

    eval "$(./ottavia env${own} demo)"                          # or: admin
    neutron lbaas-loadbalancer-create --name lb1 private-subnet
    neutron lbaas-listener-create --loadbalancer lb1 --protocol HTTP --protocol-port 80 --name listener1
    neutron lbaas-pool-create --lb-algorithm ROUND_ROBIN --listener listener1 --protocol HTTP --name pool1
${addresses.map(address => `    ${member} ${address} pool1\n`).join('')}
    openstack loadbalancer list
    nova list
    ./ottavia explain${own} ${lb?.name ?? 'lb1'}

Ctrl-C ends it; the next start finds everything again (--fresh begins anew). Logs: ${state.path('log')}
`
}

/** What an amphora is now, as its heartbeats have it; before the first, what it is meant to be. */
function stateOf(amphora: Status['load_balancers'][number]['amphorae'][number]): string {
  const { status, role, role_now, silent_s } = amphora
  if (status !== 'ALLOCATED') return status
  if (silent_s !== null && silent_s > 30) return `silent for ${Math.round(silent_s)} s`
  const now = role_now ?? role ?? ''
  return now === 'MASTER' ? 'MASTER: it has the VIP' : now
}

function table(rows: string[][]): string {
  const widths = [0, 1].map(column => Math.max(...rows.map(row => row[column]!.length)))
  return rows
    .map(row => `  ${row[0]!.padEnd(widths[0]! + 2)}${row[1]!.padEnd(widths[1]! + (widths[1] ? 2 : 0))}${row[2]}\n`)
    .join('')
}
