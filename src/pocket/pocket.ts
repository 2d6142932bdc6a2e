/** The pocket cloud: Keystone, Glance, Neutron, Nova and Barbican on one machine, as if it were somebody else's. */
import fs from 'node:fs'
import path from 'node:path'
import { barbican } from './barbican/barbican.ts'
import type { Fabric } from './fabric/fabric.ts'
import { Faults } from './faults.ts'
import { glance } from './glance/glance.ts'
import { keystone } from './keystone/keystone.ts'
import { Tokens } from './keystone/tokens.ts'
import type { Network, Port } from './neutron/documents.ts'
import { neutron } from './neutron/neutron.ts'
import { Ports } from './neutron/ports.ts'
import { Quotas } from './neutron/quotas.ts'
import type { Server } from './nova/documents.ts'
import { Machines } from './nova/machines.ts'
import { nova } from './nova/nova.ts'
import { type Passwords, seed } from './seed.ts'
import { type Listen, listenOn, type ServiceName } from './service.ts'
import { Store } from './store.ts'

export type PocketOptions = {
  database_url: string
  fabric: Fabric
  /** Where images lie. */
  state_dir: string
  /** http://host:port of each service, as the catalogue names them. */
  endpoints: Record<ServiceName, string> & { load_balancer: string | null }
  listen: Record<ServiceName, Listen[]>
  /** Where Neutron forwards requests below /v2.0/lbaas; null: nowhere. */
  lbaas_url: string | null
  passwords: Passwords
  log: (text: string, fields: Record<string, unknown>) => void
}

/** Starts the cloud on what an earlier one left: networks and ports first, then its servers boot, as after a power cut.
 *  The APIs answer before the servers are all up. */
export async function startPocket(options: PocketOptions): Promise<{ close: () => Promise<void> }> {
  const { fabric, endpoints, log } = options
  const images_dir = path.join(options.state_dir, 'images')
  fs.mkdirSync(images_dir, { recursive: true, mode: 0o700 })
  const store = await Store.open(options.database_url)
  await seed(store, options.passwords)
  const faults = new Faults(server_id => store.get<Server>('server', server_id)?.host ?? null)
  const tokens = new Tokens(store, endpoints.identity)
  const quotas = new Quotas(store)
  const ports = new Ports(store, fabric, quotas)
  const machines = new Machines({ store, fabric, ports, faults, images_dir, log })
  const shared = { tokens, faults, log }
  const catalog = {
    identity: { name: 'keystone', url: `${endpoints.identity}/v3` },
    image: { name: 'glance', url: endpoints.image },
    network: { name: 'neutron', url: endpoints.network },
    compute: { name: 'nova', url: `${endpoints.compute}/v2.1` },
    'key-manager': { name: 'barbican', url: endpoints.key_manager },
    ...(endpoints.load_balancer && { 'load-balancer': { name: 'octavia', url: endpoints.load_balancer } }),
  }
  await Promise.all(store.all<Network>('network').map(network => fabric.ensureNetwork(network.id)))
  for (const port of store.all<Port>('port')) if (port.device_owner === 'pocket:host') await ports.plugHost(port)
  for (const port of store.all<Port>('port')) {
    const host = ports.hostOf(port)
    if (host !== null) await ports.wireHost(port, host)
  }
  const services = await Promise.all([
    listenOn(keystone(store, catalog, shared), options.listen.identity),
    listenOn(glance(store, images_dir, endpoints.image, shared), options.listen.image),
    listenOn(
      neutron({ store, fabric, ports, quotas, url: endpoints.network, lbaas_url: options.lbaas_url }, shared),
      options.listen.network,
    ),
    listenOn(nova({ store, fabric, ports, machines, url: endpoints.compute }, shared), options.listen.compute),
    listenOn(barbican(store, endpoints.key_manager, shared), options.listen.key_manager),
  ])
  const resumed = machines
    .resume()
    .catch(error => log('servers could not all be booted again', { error: String(error) }))
  const close = async () => {
    await Promise.all(services.map(service => service.close()))
    await machines.close()
    await resumed
    await store.close()
  }
  return { close }
}
