/** What an administrator sees of Nova itself: zones, services, hypervisors. All hosts are pretended. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Faults } from '../faults.ts'
import { Refusal } from '../service.ts'
import type { Store } from '../store.ts'
import type { Caller } from './caller.ts'
import type { Server } from './documents.ts'
import { hosts } from './scheduler.ts'

export function computeRoutes(
  app: FastifyInstance,
  store: Store,
  faults: Faults,
  caller: (request: FastifyRequest) => Caller,
): void {
  const state = (host: string) => (faults.dead(host) && !faults.believedAlive(host) ? 'down' : 'up')
  const admin = (request: FastifyRequest, rule: string) => {
    if (!caller(request).identity.admin)
      throw new Refusal(403, 'forbidden', `Policy doesn't allow ${rule} to be performed.`)
  }
  app.get('/v2.1/os-availability-zone', request => {
    caller(request)
    return { availabilityZoneInfo: [{ zoneName: 'nova', zoneState: { available: true }, hosts: null }] }
  })
  app.get('/v2.1/os-services', request => {
    admin(request, 'os_compute_api:os-services:list')
    const updated_at = new Date().toISOString().replace('Z', '000')
    const row = (binary: string, host: string, id: number, zone: string) => ({
      binary,
      host,
      id,
      zone,
      status: 'enabled',
      state: state(host),
      updated_at,
      disabled_reason: null,
    })
    return {
      services: [
        row('nova-scheduler', 'pocket', 1, 'internal'),
        row('nova-conductor', 'pocket', 2, 'internal'),
        ...hosts.map((host, index) => row('nova-compute', host, index + 3, 'nova')),
      ],
    }
  })
  const hypervisors = () =>
    hosts.map((host, index) => ({
      id: index + 1,
      hypervisor_hostname: host,
      state: state(host),
      status: 'enabled',
    }))
  app.get('/v2.1/os-hypervisors', request => {
    admin(request, 'os_compute_api:os-hypervisors:list')
    return { hypervisors: hypervisors() }
  })
  app.get('/v2.1/os-hypervisors/detail', request => {
    admin(request, 'os_compute_api:os-hypervisors:list-detail')
    const running = (host: string) => store.all<Server>('server').filter(server => server.host === host).length
    return {
      hypervisors: hypervisors().map(h => ({
        ...h,
        hypervisor_type: 'pocket',
        hypervisor_version: 1,
        host_ip: '127.0.0.1',
        running_vms: running(h.hypervisor_hostname),
        service: { id: h.id + 2, host: h.hypervisor_hostname, disabled_reason: null },
      })),
    }
  })
}
