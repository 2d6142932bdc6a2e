/** The cloud's own API for misbehaviour, on the compute endpoint, for administrators: PUT, GET and DELETE /pocket/faults. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Faults } from '../faults.ts'
import { Refusal } from '../service.ts'
import type { Caller } from './caller.ts'
import type { Machines } from './machines.ts'

export function faultRoutes(
  app: FastifyInstance,
  faults: Faults,
  machines: Machines,
  caller: (request: FastifyRequest) => Caller,
): void {
  const admin = (request: FastifyRequest) => {
    if (!caller(request).identity.admin)
      throw new Refusal(403, 'forbidden', 'Only an administrator may tell the cloud to misbehave.')
  }
  app.get('/pocket/faults', request => {
    admin(request)
    return { faults: faults.list() }
  })
  const added = (request: FastifyRequest) => {
    try {
      return faults.add(request.body)
    } catch (error) {
      throw new Refusal(400, 'badRequest', `Not a fault: ${(error as Error).message}`)
    }
  }
  app.put('/pocket/faults', async request => {
    admin(request)
    const fault = added(request)
    if (fault.action === 'dead_host') await machines.hostDied(fault.host!)
    return { fault }
  })
  app.delete('/pocket/faults', async (request, reply) => {
    admin(request)
    faults.clear()
    await machines.hostsReturned()
    return reply.status(204).send()
  })
}
