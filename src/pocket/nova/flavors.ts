/** Nova's flavors: fixed ones, since a server here takes what it needs. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Refusal } from '../service.ts'
import type { Caller } from './caller.ts'

export function flavorRoutes(app: FastifyInstance, url: string, caller: (request: FastifyRequest) => Caller): void {
  app.get('/v2.1/flavors', request => {
    caller(request)
    return { flavors: flavors.map(f => ({ id: f.id, name: f.name, links: shownFlavor(f, url).links })) }
  })
  app.get('/v2.1/flavors/detail', request => {
    caller(request)
    return { flavors: flavors.map(f => shownFlavor(f, url)) }
  })
  app.get('/v2.1/flavors/:id', request => {
    caller(request)
    const { id } = request.params as { id: string }
    const flavor = flavors.find(f => f.id === id)
    if (!flavor) throw new Refusal(404, 'itemNotFound', `Flavor ${id} could not be found.`)
    return { flavor: shownFlavor(flavor, url) }
  })
  app.get('/v2.1/flavors/:id/os-extra_specs', request => {
    caller(request)
    return { extra_specs: {} }
  })
}

export const flavors = [
  { id: '1', name: 'm1.tiny', ram: 64, disk: 1, vcpus: 1 },
  { id: '2', name: 'm1.small', ram: 256, disk: 1, vcpus: 1 },
  { id: '65', name: 'm1.amphora', ram: 256, disk: 1, vcpus: 1 },
].map(flavor => ({
  ...flavor,
  swap: '',
  'OS-FLV-EXT-DATA:ephemeral': 0,
  'OS-FLV-DISABLED:disabled': false,
  'os-flavor-access:is_public': true,
  rxtx_factor: 1.0,
}))

function shownFlavor(flavor: (typeof flavors)[number], url: string) {
  const { id, name, ram, disk, vcpus, ...rest } = flavor
  const { swap, ...flags } = rest
  const links = [
    { rel: 'self', href: `${url}/v2.1/flavors/${id}` },
    { rel: 'bookmark', href: `${url}/flavors/${id}` },
  ]
  return {
    id,
    name,
    ram,
    disk,
    swap,
    'OS-FLV-EXT-DATA:ephemeral': flags['OS-FLV-EXT-DATA:ephemeral'],
    'OS-FLV-DISABLED:disabled': flags['OS-FLV-DISABLED:disabled'],
    vcpus,
    'os-flavor-access:is_public': flags['os-flavor-access:is_public'],
    rxtx_factor: flags.rxtx_factor,
    links,
  }
}
