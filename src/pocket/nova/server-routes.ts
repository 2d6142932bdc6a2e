/** Nova's routes below one server: actions, interfaces, addresses, groups. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Network, Port } from '../neutron/documents.ts'
import { Refusal } from '../service.ts'
import type { Caller } from './caller.ts'
import type { Server } from './documents.ts'
import type { NovaOptions } from './nova.ts'

type Desk = {
  caller: (request: FastifyRequest) => Caller
  find: (request: FastifyRequest) => Server
  show: (server: Server, caller: Caller) => { addresses: unknown }
  groupName: (id: string) => string
}

export function serverRoutes(app: FastifyInstance, options: NovaOptions, desk: Desk): void {
  const { ports, machines, fabric } = options
  const { find } = desk
  app.post('/v2.1/servers/:id/action', async (request, reply) => {
    const server = find(request)
    const [action, argument] = Object.entries((request.body ?? {}) as Record<string, unknown>)[0] ?? ['', null]
    switch (action) {
      case 'reboot': {
        allow(server, 'reboot', ['ACTIVE', 'SHUTOFF'])
        const soft = (argument as { type?: unknown } | null)?.type === 'SOFT'
        await machines.reboot(server, soft ? 'REBOOT' : 'HARD_REBOOT')
        return reply.status(202).send()
      }
      case 'os-stop':
        allow(server, 'stop', ['ACTIVE'])
        await machines.stop(server)
        return reply.status(202).send()
      case 'os-start':
        allow(server, 'start', ['SHUTOFF'])
        await machines.start(server)
        return reply.status(202).send()
      case 'os-getConsoleOutput': {
        const text = await fabric.console(server.id, 100_000)
        const length = (argument as { length?: unknown } | null)?.length
        const lines = text.split('\n')
        return { output: typeof length === 'number' && length > 0 ? lines.slice(-length - 1).join('\n') : text }
      }
    }
    throw new Refusal(400, 'badRequest', `There is no such action: ${action.slice(0, 100)}`)
  })
  app.get('/v2.1/servers/:id/ips', request => ({ addresses: desk.show(find(request), desk.caller(request)).addresses }))
  app.get('/v2.1/servers/:id/os-security-groups', request => {
    const ids = new Set(ports.ofServer(find(request).id).flatMap(port => port.security_groups))
    return { security_groups: [...ids].map(id => ({ id, name: desk.groupName(id) })) }
  })
  app.get('/v2.1/servers/:id/os-volume_attachments', request => {
    find(request)
    return { volumeAttachments: [] }
  })
  app.get('/v2.1/servers/:id/os-instance-actions', request => {
    find(request)
    return { instanceActions: [] }
  })
  app.get('/v2.1/servers/:id/metadata', request => ({ metadata: find(request).metadata }))
  interfaceRoutes(app, options, desk)
}

function interfaceRoutes(app: FastifyInstance, { store, ports, machines }: NovaOptions, { caller, find }: Desk): void {
  const attached = (request: FastifyRequest): Port | undefined => {
    const { port_id } = request.params as { port_id: string }
    return ports.ofServer(find(request).id).find(port => port.id === port_id)
  }
  app.get('/v2.1/servers/:id/os-interface', request => ({
    interfaceAttachments: ports.ofServer(find(request).id).map(port => attachment(port)),
  }))
  app.post('/v2.1/servers/:id/os-interface', async request => {
    const server = find(request)
    const { identity } = caller(request)
    const { port_id, net_id, fixed_ips } = wishesIn(request.body)
    allow(server, 'attach_interface', ['ACTIVE', 'SHUTOFF'])
    if (port_id !== undefined) {
      const port = store.get<Port>('port', port_id)
      if (!port || (!identity.admin && port.project_id !== identity.project_id))
        throw new Refusal(404, 'itemNotFound', `Port id ${port_id} could not be found.`)
      if (port.device_id !== '') throw new Refusal(409, 'conflictingRequest', `Port ${port_id} is still in use.`)
      await machines.attach(server, port_id)
      return { interfaceAttachment: attachment(store.get<Port>('port', port_id) ?? port, 'DOWN') }
    }
    const network = store.get<Network>('network', net_id ?? '')
    // a network that is not there is an unexpected error to a real Nova too
    if (!network || !(identity.admin || network.shared || network.project_id === identity.project_id))
      throw unexpected()
    const port = await ports.create(server.project_id, { network_id: network.id, fixed_ips, _made_by_nova: true })
    try {
      await machines.attach(server, port.id)
    } catch (error) {
      await ports.unbind(port.id)
      throw error
    }
    return { interfaceAttachment: attachment(store.get<Port>('port', port.id) ?? port, 'DOWN') }
  })
  app.get('/v2.1/servers/:id/os-interface/:port_id', request => {
    const port = attached(request)
    const { port_id } = request.params as { port_id: string }
    if (!port) throw new Refusal(404, 'itemNotFound', `Port id ${port_id} could not be found.`)
    return { interfaceAttachment: attachment(port) }
  })
  app.delete('/v2.1/servers/:id/os-interface/:port_id', async (request, reply) => {
    const port = attached(request)
    if (port) machines.detach(find(request), port.id)
    return reply.status(202).send()
  })
}

/** Refuses what a server in this state cannot do, or while it is being deleted. */
function allow(server: Server, action: string, statuses: Server['status'][]): void {
  if (server.task_state === 'deleting')
    throw new Refusal(
      409,
      'conflictingRequest',
      `Cannot '${action}' instance ${server.id} while it is in task_state deleting`,
    )
  if (statuses.includes(server.status)) return
  const vm_state = { BUILD: 'building', ERROR: 'error', SHUTOFF: 'stopped' }[server.status as string] ?? 'active'
  throw new Refusal(
    409,
    'conflictingRequest',
    `Cannot '${action}' instance ${server.id} while it is in vm_state ${vm_state}`,
  )
}

function wishesIn(body: unknown): { port_id?: string; net_id?: string; fixed_ips?: { ip_address: string }[] } {
  const wishes = (body as { interfaceAttachment?: Record<string, unknown> } | undefined)?.interfaceAttachment
  if (typeof wishes !== 'object' || wishes === null)
    throw new Refusal(400, 'badRequest', 'Invalid input for field/attribute interfaceAttachment.')
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined)
  const addresses = Array.isArray(wishes.fixed_ips)
    ? wishes.fixed_ips.map((ip: { ip_address?: unknown } | null) => ({ ip_address: String(ip?.ip_address) }))
    : undefined
  return { port_id: text(wishes.port_id), net_id: text(wishes.net_id), ...(addresses && { fixed_ips: addresses }) }
}

function attachment(port: Port, port_state = port.status) {
  return {
    net_id: port.network_id,
    port_id: port.id,
    mac_addr: port.mac_address,
    port_state,
    fixed_ips: port.fixed_ips,
  }
}

function unexpected(): Refusal {
  const text =
    "Unexpected API Error. Please report this at http://bugs.launchpad.net/nova/ and attach the Nova API log if possible.\n<class 'oslo_messaging.rpc.client.RemoteError'>"
  return new Refusal(500, 'computeFault', text)
}
