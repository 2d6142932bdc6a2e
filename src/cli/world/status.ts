/** What runs: endpoints, servers and load balancers, as people and scripts want to read it. */
import type pg from 'pg'
import { Neutron } from '../../cloud/neutron.ts'
import { CloudError, type OpenStack } from '../../cloud/openstack.ts'
import { type Seen, seen } from '../../store/amphorae.ts'
import { readBreaker } from '../../store/silences.ts'
import type { Ports, State } from '../state.ts'
import type { Publication } from './publication.ts'

export type Status = {
  ready: boolean
  endpoints: Record<keyof Ports, string>
  /** Since when silent amphorae are not replaced, because too many fell silent at once; null: they are. */
  breaker_open_since: string | null
  /** Of all projects; IPv4 addresses first. */
  servers: { name: string; status: string; addresses: string[] }[]
  load_balancers: {
    name: string
    id: string
    provisioning_status: string
    vip_address: string
    /** host:port on the host's loopback that leads to the VIP; null before there is a listener. */
    host_address: string | null
    amphorae: Omit<Seen, 'load_balancer_id'>[]
  }[]
}

/** Asks the cloud and ottavia, and publishes VIPs that are new on the way. */
export async function status(stack: {
  state: State
  ports: Ports
  admin: OpenStack
  demo: OpenStack
  publication: Publication
  /** ottavia's rows. */
  rows: pg.Pool
}): Promise<Status> {
  const { ports, admin, publication } = stack
  const [servers, amphorae, breaker, answered] = await Promise.all([
    serversOf(admin),
    seen(stack.rows),
    readBreaker(stack.rows),
    loadBalancersOf(admin).catch(error => {
      if (error instanceof CloudError && error.kind === 'unavailable') return null // ottavia is just being restarted
      throw error
    }),
  ])
  const load_balancers = answered ?? []
  for (const lb of load_balancers) if (lb.vip) await publication.publish(lb.vip)
  const at = (port: number, path = '') => `http://127.0.0.1:${port}${path}`
  return {
    ready: answered !== null,
    breaker_open_since: breaker.open_since,
    endpoints: {
      identity: at(ports.identity, '/v3'),
      network: at(ports.network),
      compute: at(ports.compute, '/v2.1'),
      image: at(ports.image),
      key_manager: at(ports.key_manager),
      load_balancer: at(ports.load_balancer),
    },
    servers,
    load_balancers: load_balancers.map(({ name, id, provisioning_status, vip_address }) => {
      const port = publication.portOf(id)
      const host_address = port === null ? null : `127.0.0.1:${port}`
      const own = amphorae.filter(one => one.load_balancer_id === id).map(({ load_balancer_id: _, ...one }) => one)
      return { name, id, provisioning_status, vip_address, host_address, amphorae: own }
    }),
  }
}

type ServerRow = { name: string; status: string; addresses: Record<string, { addr: string; version: number }[]> }
type LoadBalancerRow = {
  id: string
  name: string
  provisioning_status: string
  vip_address: string
  vip_network_id: string
  vip_subnet_id: string
}

async function serversOf(admin: OpenStack): Promise<Status['servers']> {
  const { body } = await admin.request('compute', 'GET', '/servers/detail', { query: { all_tenants: '1' } })
  return (body as { servers: ServerRow[] }).servers.map(server => ({
    name: server.name,
    status: server.status,
    addresses: Object.values(server.addresses)
      .flat()
      .sort((a, b) => a.version - b.version)
      .map(address => address.addr),
  }))
}

async function loadBalancersOf(admin: OpenStack) {
  const [balancers, listeners] = await Promise.all([
    list<LoadBalancerRow>(admin, 'loadbalancers'),
    list<{ protocol_port: number; protocol: string; loadbalancers: { id: string }[] }>(admin, 'listeners'),
  ])
  const neutron = new Neutron(admin)
  return Promise.all(
    balancers.map(async lb => {
      const own = listeners.filter(listener => listener.loadbalancers.some(l => l.id === lb.id))
      const first = own.find(listener => listener.protocol_port === 80) ?? own.find(l => l.protocol !== 'UDP')
      if (!first) return { ...lb, vip: null }
      const network_id = lb.vip_network_id ?? (await neutron.subnet(lb.vip_subnet_id))?.network_id
      const vip = { load_balancer_id: lb.id, network_id, address: lb.vip_address, port: first.protocol_port }
      return { ...lb, vip }
    }),
  )
}

async function list<T>(admin: OpenStack, plural: string): Promise<T[]> {
  const { body } = await admin.request('load-balancer', 'GET', `/lbaas/${plural}`)
  return (body as Record<string, T[]>)[plural]!
}
