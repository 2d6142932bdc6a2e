/** The cloud's own API for misbehaviour, on the compute endpoint, for administrators: PUT, GET and DELETE /pocket/faults. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Faults } from '../faults.ts'
import { Refusal } from '../service.ts'
import type { Caller } from './caller.ts'

export function faultRoutes(app: FastifyInstance, faults: Faults, caller: (request: FastifyRequest) => Caller): void {
  const admin = (request: FastifyRequest) => {
    if (!caller(request).identity.admin)
      throw new Refusal(403, 'forbidden', 'Only an administrator may tell the cloud to misbehave.')
  }
  app.get('/pocket/faults', request => {
    admin(request)
    return { faults: faults.list() }
  })
  app.put('/pocket/faults', request => {
    admin(request)
    try {
      return { fault: faults.add(request.body as Parameters<Faults['add']>[0]) }
    } catch (error) {
      throw new Refusal(400, 'badRequest', `Not a fault: ${(error as Error).message}`)
    }
  })
  app.delete('/pocket/faults', (request, reply) => {
    admin(request)
    faults.clear()
    return reply.status(204).send()
  })
}
