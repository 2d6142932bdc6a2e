/** Availability zones over HTTP: profiles, zones, what load balancers make of them, and what is refused. */
import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { amphora_provider } from '../lbaas/provider.ts'
import { sampleId } from '../lbaas/sample.ts'
import * as trees from '../store/trees.ts'
import { apiForTests, network, subnet } from './pretended.ts'

const api = apiForTests({ providers: [amphora_provider, { ...amphora_provider, name: 'another', aliases: [] }] })
const admin = { token: 'admin' }
const elsewhere = sampleId(803)
type Body = Record<string, Record<string, unknown>>

const profile = (said: unknown, fields: object = {}) => ({
  availability_zone_profile: {
    name: 'p',
    provider_name: 'amphora',
    availability_zone_data: JSON.stringify(said),
    ...fields,
  },
})
const zone = (availability_zone_profile_id: string, fields: object = {}) => ({
  availability_zone: { name: randomUUID(), availability_zone_profile_id, ...fields },
})
const lb = (fields: object) => ({ loadbalancer: { vip_subnet_id: subnet, ...fields } })

async function made(path: string, body: Body): Promise<Record<string, unknown>> {
  const answer = await api.octavia('POST', path, body, admin)
  expect(answer).toMatchObject({ status: 201 })
  return Object.values(answer.body as Body)[0]!
}
const profileOf = async (said: unknown, fields: object = {}) =>
  String((await made('/availabilityzoneprofiles', profile(said, fields))).id)
const zoneOf = async (said: unknown, fields: object = {}) =>
  String((await made('/availabilityzones', zone(await profileOf(said), fields))).name)

const refused = async (method: string, path: string, body: unknown, status: number, faultstring: string | RegExp) => {
  const text = typeof faultstring === 'string' ? faultstring : expect.stringMatching(faultstring)
  expect(await api.octavia(method, path, body, admin)).toMatchObject({ status, body: { faultstring: text } })
}

let edge_profile = ''
const said = { compute_zone: 'edge', management_network: elsewhere, valid_vip_networks: [network], volume_zone: 'any' }
beforeAll(async () => {
  edge_profile = await profileOf(said, { name: 'edge' })
  await made('/availabilityzones', zone(edge_profile, { name: 'edge', description: 'at the edge' }))
})

describe('profiles and zones', () => {
  test('are shown, listed, changed and deleted', async () => {
    expect((await api.octavia('GET', '/availabilityzones/edge')).body).toEqual({
      availability_zone: {
        name: 'edge',
        description: 'at the edge',
        enabled: true,
        availability_zone_profile_id: edge_profile,
      },
    })
    const path = `/availabilityzoneprofiles/${edge_profile}`
    expect((await api.octavia('GET', path, undefined, admin)).body).toEqual({
      availability_zone_profile: {
        id: edge_profile,
        name: 'edge',
        provider_name: 'amphora',
        availability_zone_data: JSON.stringify(said),
      },
    })
    expect((await api.octavia('GET', '/availabilityzones?name=edge&enabled=true&fields=name')).body).toEqual({
      availability_zones: [{ name: 'edge' }],
      availability_zones_links: [],
    })
    const profiles = await api.octavia('GET', '/availabilityzoneprofiles?name=edge&fields=id', undefined, admin)
    expect(profiles.body).toEqual({
      availability_zone_profiles: [{ id: edge_profile }],
      availability_zone_profile_links: [],
    })
    const name = await zoneOf({})
    const url = `/availabilityzones/${name}`
    const changed = { enabled: false, description: null }
    expect(await api.octavia('PUT', url, { availability_zone: changed }, admin)).toMatchObject({
      status: 200,
      body: { availability_zone: changed },
    })
    await refused('PUT', url, { availability_zone: { name: 'x' } }, 400, /Unknown attribute .*name/)
    expect(await api.octavia('DELETE', url, undefined, admin)).toMatchObject({ status: 204 })
    await refused('DELETE', url, undefined, 404, `Availability Zone ${name} not found.`)
    await refused('GET', url, undefined, 404, `Availability Zone ${name} not found.`)
    await refused('PUT', url, { availability_zone: {} }, 404, `Availability Zone ${name} not found.`)
    await refused('GET', '/availabilityzones/%00', undefined, 404, /not found/)
  })

  test('come in pages, by name', async () => {
    const names = [await zoneOf({}), await zoneOf({}), await zoneOf({})].sort()
    const query = `/availabilityzones?limit=1&sort=name&${names.map(name => `name=${name}`).join('&')}`
    const page = async (url: string) => {
      const { body } = await api.octavia('GET', url)
      const { availability_zones, availability_zones_links } = body as {
        availability_zones: { name: string }[]
        availability_zones_links: { rel: string; href: string }[]
      }
      const next = availability_zones_links.find(link => link.rel === 'next')?.href
      return {
        names: availability_zones.map(one => one.name),
        next: next && `=${new URL(next).pathname}${new URL(next).search}`,
      }
    }
    const first = await page(query)
    const second = await page(first.next!)
    const third = await page(second.next!)
    expect([...first.names, ...second.names, ...third.names]).toEqual(names)
    expect(third.next).toBeUndefined()
    expect(await api.octavia('GET', `${query}&marker=none`)).toMatchObject({ status: 400 })
  })

  test.each<[data: unknown, status: number, faultstring: string]>([
    [{ colour: 1 }, 501, "Additional properties are not allowed ('colour' was unexpected)"],
    [{ compute_zone: 5 }, 501, "compute_zone 5 is not of type 'string'"],
    [{ valid_vip_networks: 'x' }, 501, 'valid_vip_networks "x" is not of type \'array\''],
    [{ valid_vip_networks: [5] }, 501, "valid_vip_networks 5 is not of type 'string'"],
    [{ compute_zone: 'moon' }, 400, 'Nova availability zone moon not found.'],
    [{ management_network: sampleId(1) }, 400, `Network ${sampleId(1)} not found.`],
    [{ valid_vip_networks: [network, sampleId(2)] }, 400, `Network ${sampleId(2)} not found.`],
  ])('%j is refused', async (data, status, detail) => {
    const text = status === 501 ? `Provider 'amphora' does not support a requested option: ${detail}` : detail
    await refused('POST', '/availabilityzoneprofiles', profile(data), status, text)
    await refused('PUT', `/availabilityzoneprofiles/${await profileOf({})}`, profile(data), status, text)
  })

  test('are refused when they are wrong, taken, or in use', async () => {
    const wrong = profile({}, { availability_zone_data: '{' })
    await refused('POST', '/availabilityzoneprofiles', wrong, 400, '{ is not a valid option for availability_zone_data')
    const taken = 'A availability zone of edge already exists.'
    await refused('POST', '/availabilityzones', zone(edge_profile, { name: 'edge' }), 409, taken)
    const nowhere = randomUUID()
    await refused('POST', '/availabilityzones', zone(nowhere), 404, `Availability Zone Profile ${nowhere} not found.`)
    const in_use = `Availability Zone Profile ${edge_profile} is in use and cannot be modified.`
    await refused('DELETE', `/availabilityzoneprofiles/${edge_profile}`, undefined, 409, in_use)
    await refused('PUT', `/availabilityzoneprofiles/${edge_profile}`, profile({}), 409, in_use)
  })

  test('what providers understand is said', async () => {
    const path = '/providers/octavia/availability_zone_capabilities'
    const { body } = await api.octavia('GET', path, undefined, admin)
    const { availability_zone_capabilities } = body as { availability_zone_capabilities: { name: string }[] }
    expect(availability_zone_capabilities.map(one => one.name)).toEqual([
      'compute_zone',
      'volume_zone',
      'management_network',
      'valid_vip_networks',
    ])
    await refused('GET', '/providers/none/availability_zone_capabilities', undefined, 400, /is not enabled/)
  })
})

describe('a load balancer', () => {
  test('is where its zone says', async () => {
    const answer = await api.octavia('POST', '/loadbalancers', lb({ availability_zone: 'edge' }))
    expect(answer).toMatchObject({ status: 201, body: { loadbalancer: { availability_zone: 'edge' } } })
    const { id } = (answer.body as Body).loadbalancer!
    const { load_balancer } = (await trees.read(api.pool, String(id)))!
    expect(load_balancer).toMatchObject({ compute_zone: 'edge', management_network: elsewhere })
    const in_use = 'Availability Zone edge is in use and cannot be modified.'
    await refused('DELETE', '/availabilityzones/edge', undefined, 409, in_use)
    const { body } = await api.octavia('GET', '/loadbalancers?availability_zone=edge')
    expect((body as { loadbalancers: unknown[] }).loadbalancers).toHaveLength(1)
    const put = await api.octavia('PUT', `/loadbalancers/${id}`, { loadbalancer: { availability_zone: 'edge' } })
    expect(put).toMatchObject({ status: 400 })
  })

  test('is where the deployment is, without one', async () => {
    const { id } = await made('/loadbalancers', lb({ availability_zone: null }))
    const { load_balancer } = (await trees.read(api.pool, String(id)))!
    expect(load_balancer).toMatchObject({ availability_zone: null, compute_zone: null, management_network: null })
  })

  test('has its VIP on a network of the zone', async () => {
    const availability_zone = await zoneOf({ valid_vip_networks: [elsewhere] })
    const ports = api.cloud.ports.size
    const text = 'Validation failure: Supplied VIP network_id is not allowed by the configuration of this deployment.'
    const fields = { availability_zone, vip_subnet_id: subnet }
    await refused('POST', '/loadbalancers', lb(fields), 400, text)
    await refused('POST', '/loadbalancers', lb({ ...fields, vip_subnet_id: null, vip_network_id: network }), 400, text)
    expect(api.cloud.ports.size).toBe(ports)
    const shared = { availability_zone, vip_subnet_id: sampleId(704) }
    expect(await api.octavia('POST', '/loadbalancers', lb(shared))).toMatchObject({ status: 201 })
    const [port] = [...api.cloud.ports.values()].filter(one => one.network_id === network)
    const own = { availability_zone, vip_subnet_id: null, vip_port_id: randomUUID() }
    api.cloud.ports.set(own.vip_port_id, { ...port!, id: own.vip_port_id, device_id: '' })
    await refused('POST', '/loadbalancers', lb(own), 400, text)
  })

  test('cannot have a zone that is not there, not offered, or of another provider', async () => {
    const post = (availability_zone: string, fields: object = {}) => lb({ availability_zone, ...fields })
    await refused('POST', '/loadbalancers', post('none'), 400, 'Validation failure: Invalid availability zone.')
    const off = await zoneOf({}, { enabled: false })
    const disabled = `The selected availability_zone is not allowed in this deployment: ${off}`
    await refused('POST', '/loadbalancers', post(off), 400, disabled)
    const foreign = await profileOf({}, { provider_name: 'another' })
    await made('/availabilityzones', zone(foreign, { name: 'foreign' }))
    const text = "Availability zone 'foreign' is not compatible with provider 'amphora'"
    await refused('POST', '/loadbalancers', post('foreign'), 400, text)
    expect(await api.octavia('POST', '/loadbalancers', post('foreign', { provider: 'another' }))).toMatchObject({
      status: 201,
    })
    const neutron = await api.neutron('POST', '/loadbalancers', post('edge'))
    expect(neutron).toMatchObject({ status: 400, body: { NeutronError: { type: 'HTTPBadRequest' } } })
  })

  test('whose zone goes while its port is being made is refused', async () => {
    const brief = await zoneOf({})
    api.cloud.made = async () => {
      expect(await api.octavia('DELETE', `/availabilityzones/${brief}`, undefined, admin)).toMatchObject({
        status: 204,
      })
    }
    const text = 'Validation failure: Invalid availability zone.'
    await refused('POST', '/loadbalancers', lb({ availability_zone: brief }), 400, text)
    api.cloud.made = async () => {}
  })
})
