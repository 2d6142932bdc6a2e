/** Flavors over HTTP: profiles, flavors, what load balancers make of them, and what is refused. */
import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { amphora_provider } from '../lbaas/provider.ts'
import { sampleId } from '../lbaas/sample.ts'
import * as trees from '../store/trees.ts'
import { apiForTests, subnet } from './pretended.ts'

const api = apiForTests({ providers: [amphora_provider, { ...amphora_provider, name: 'another', aliases: [] }] })
const admin = { token: 'admin' }
type Body = Record<string, Record<string, unknown>>

const profile = (data: unknown, fields: object = {}) => ({
  flavorprofile: { name: 'p', provider_name: 'amphora', flavor_data: JSON.stringify(data), ...fields },
})
const flavor = (flavor_profile_id: string, fields: object = {}) => ({
  flavor: { name: randomUUID(), flavor_profile_id, ...fields },
})
const lb = (fields: object) => ({ loadbalancer: { vip_subnet_id: subnet, ...fields } })

async function made(path: string, body: unknown, options = admin): Promise<string> {
  const answer = await api.octavia('POST', path, body, options)
  expect(answer).toMatchObject({ status: 201 })
  return String(Object.values(answer.body as Body)[0]!.id)
}

const refused = async (method: string, path: string, body: unknown, status: number, faultstring: string | RegExp) => {
  const text = typeof faultstring === 'string' ? faultstring : expect.stringMatching(faultstring)
  expect(await api.octavia(method, path, body, admin)).toMatchObject({ status, body: { faultstring: text } })
}

let pair = ''
let pair_profile = ''
beforeAll(async () => {
  const data = { loadbalancer_topology: 'ACTIVE_STANDBY', compute_flavor: 'big', amp_image_tag: 'new' }
  pair_profile = await made('/flavorprofiles', profile(data))
  pair = await made('/flavors', flavor(pair_profile, { name: 'pair', description: 'two' }))
})

describe('profiles and flavors', () => {
  test('are shown, listed, changed and deleted', async () => {
    expect((await api.octavia('GET', `/flavors/${pair}`)).body).toEqual({
      flavor: { id: pair, name: 'pair', description: 'two', enabled: true, flavor_profile_id: pair_profile },
    })
    const { body } = await api.octavia('GET', `/flavorprofiles/${pair_profile}`, undefined, admin)
    expect(body).toEqual({
      flavorprofile: {
        id: pair_profile,
        name: 'p',
        provider_name: 'amphora',
        flavor_data: '{"loadbalancer_topology":"ACTIVE_STANDBY","compute_flavor":"big","amp_image_tag":"new"}',
      },
    })
    expect((await api.octavia('GET', '/flavors?name=pair&fields=id')).body).toEqual({
      flavors: [{ id: pair }],
      flavors_links: [],
    })
    expect((await api.octavia('GET', '/flavorprofiles?provider_name=amphora', undefined, admin)).body).toMatchObject({
      flavorprofiles: [{ id: pair_profile }],
    })
    const unused = await made('/flavorprofiles', profile({}))
    const fields = { name: 'q', flavor_data: '{"amp_image_tag":"x"}' }
    expect(await api.octavia('PUT', `/flavorprofiles/${unused}`, { flavorprofile: fields }, admin)).toMatchObject({
      status: 200,
      body: { flavorprofile: fields },
    })
    const id = await made('/flavors', flavor(unused, { description: 'd' }))
    expect(
      await api.octavia('PUT', `/flavors/${id}`, { flavor: { enabled: false, description: null } }, admin),
    ).toMatchObject({ status: 200, body: { flavor: { enabled: false, description: null } } })
    for (const path of [`/flavors/${id}`, `/flavorprofiles/${unused}`]) {
      expect(await api.octavia('DELETE', path, undefined, admin)).toMatchObject({ status: 204 })
      expect(await api.octavia('DELETE', path, undefined, admin)).toMatchObject({ status: 404 })
      expect(await api.octavia('GET', path, undefined, admin)).toMatchObject({ status: 404 })
    }
  })

  test.each([
    [{ colour: 1 }, "Additional properties are not allowed ('colour' was unexpected)"],
    [{ loadbalancer_topology: 'TRIPLE' }, "loadbalancer_topology 'TRIPLE' is not one of ['SINGLE', 'ACTIVE_STANDBY']"],
    [{ compute_flavor: 5 }, "compute_flavor 5 is not of type 'string'"],
    [{ compute_flavor: 'a\0' }, 'compute_flavor "a\\u0000" is not of type \'string\''],
    [[1], "[1] is not of type 'object'"],
    [null, "null is not of type 'object'"],
  ])('with data that the provider does not understand: %j', async (data, detail) => {
    const text = `Provider 'amphora' does not support a requested option: ${detail}`
    await refused('POST', '/flavorprofiles', profile(data), 501, text)
    const id = await made('/flavorprofiles', profile({}))
    await refused('PUT', `/flavorprofiles/${id}`, profile(data), 501, text)
  })

  test('are refused when they are wrong, taken, or in use', async () => {
    const data = { flavor_data: '{' }
    await refused('POST', '/flavorprofiles', profile({}, data), 400, '{ is not a valid option for flavor_data')
    const provider_name = 'none'
    await refused('POST', '/flavorprofiles', profile({}, { provider_name }), 400, "Provider 'none' is not enabled.")
    await refused('POST', '/flavorprofiles', profile({}, { name: null }), 400, /name. Value: 'None'. Mandatory/)
    await refused('POST', '/flavors', flavor(pair_profile, { name: 'pair' }), 409, 'A flavor of pair already exists.')
    const id = await made('/flavors', flavor(pair_profile))
    await refused('PUT', `/flavors/${id}`, { flavor: { name: 'pair' } }, 409, 'A flavor of pair already exists.')
    await refused('PUT', `/flavors/${id}`, flavor(pair_profile), 400, /Unknown attribute .*flavor_profile_id/)
    const nowhere = randomUUID()
    await refused('POST', '/flavors', flavor(nowhere), 404, `Flavor Profile ${nowhere} not found.`)
    await refused('PUT', '/flavors/none', { flavor: { name: 'x' } }, 404, 'Flavor none not found.')
    const in_use = `Flavor profile ${pair_profile} is in use and cannot be modified.`
    await refused('DELETE', `/flavorprofiles/${pair_profile}`, undefined, 409, in_use)
    await refused('PUT', `/flavorprofiles/${pair_profile}`, profile({}), 409, in_use)
    const renamed = { flavorprofile: { name: 'renamed' } }
    expect(await api.octavia('PUT', `/flavorprofiles/${pair_profile}`, renamed, admin)).toMatchObject({ status: 200 })
  })

  test('of SR-IOV make the VIP port so, and let members ask for theirs', async () => {
    const on_wires = await made('/flavors', flavor(await made('/flavorprofiles', profile({ sriov_vip: true }))))
    const lb = { vip_subnet_id: subnet, flavor_id: on_wires }
    const group = sampleId(901)
    const { body } = await api.octavia('POST', '/loadbalancers', { loadbalancer: lb })
    const { id, vip_port_id, vip_vnic_type } = (body as Body).loadbalancer as Record<string, string>
    expect(vip_vnic_type).toBe('direct')
    expect(api.cloud.ports.get(vip_port_id!)).toMatchObject({ 'binding:vnic_type': 'direct' })
    const guarded = { ...lb, vip_sg_ids: [group] }
    await refused('POST', '/loadbalancers', { loadbalancer: guarded }, 501, /vip_sg_ids with a VIP port by SR-IOV/)
    await refused('PUT', `/loadbalancers/${id}`, { loadbalancer: { vip_sg_ids: [group] } }, 501, /by SR-IOV/)
    await refused(
      'POST',
      '/flavorprofiles',
      profile({ sriov_vip: 'yes' }),
      501,
      /sriov_vip "yes" is not of type 'boolean'/,
    )
    const members = { address: '10.0.0.9', protocol_port: 80, request_sriov: true }
    const fields = { loadbalancer_id: id, name: 'p', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' }
    const pool = (await made('/pools', { pool: fields })) as string
    const text = 'The load balancer flavor does not allow SR-IOV member ports.'
    await refused('POST', `/pools/${pool}/members`, { member: members }, 400, text)
  })

  test('that name what the cloud does not have are refused, as far as it answers', async () => {
    const flavor_text = 'Nova flavor huge not found.'
    const image_text = 'Failed to find an image with tag none.'
    const id = await made('/flavorprofiles', profile({}))
    for (const [data, text] of [
      [{ compute_flavor: 'huge' }, flavor_text],
      [{ amp_image_tag: 'none' }, image_text],
    ] as const) {
      await refused('POST', '/flavorprofiles', profile(data), 400, text)
      await refused('PUT', `/flavorprofiles/${id}`, profile(data), 400, text)
    }
    api.cloud.away.add('compute')
    await made('/flavorprofiles', profile({ compute_flavor: 'huge' }))
    api.cloud.away.clear()
  })

  test('are written by administrators; flavors are read by all, profiles are not', async () => {
    const denied = { status: 403, body: { faultstring: 'Policy does not allow this request to be performed.' } }
    for (const token of ['demo', 'observer', 'global', 'nobody']) {
      for (const [method, path, body] of [
        ['POST', '/flavors', flavor(pair_profile)],
        ['PUT', `/flavors/${pair}`, { flavor: { enabled: false } }],
        ['DELETE', `/flavors/${pair}`, undefined],
        ['GET', '/flavorprofiles', undefined],
        ['GET', `/flavorprofiles/${pair_profile}`, undefined],
        ['POST', '/flavorprofiles', profile({})],
        ['DELETE', `/flavorprofiles/${pair_profile}`, undefined],
        ['GET', '/providers/amphora/flavor_capabilities', undefined],
      ] as const)
        expect(await api.octavia(method, path, body, { token })).toMatchObject(denied)
      const read = token === 'nobody' ? denied : { status: 200 }
      for (const path of ['/flavors', `/flavors/${pair}`])
        expect(await api.octavia('GET', path, undefined, { token })).toMatchObject(read)
    }
    expect(await api.neutron('GET', '/flavors')).toMatchObject({ status: 404 })
  })

  test('what providers understand is said', async () => {
    const path = '/providers/amphora/flavor_capabilities'
    const { body } = await api.octavia('GET', path, undefined, admin)
    const { flavor_capabilities } = body as { flavor_capabilities: { name: string }[] }
    expect(flavor_capabilities.map(one => one.name)).toEqual([
      'loadbalancer_topology',
      'compute_flavor',
      'amp_image_tag',
      'sriov_vip',
      'allow_member_sriov',
      'unit',
    ])
    expect(await api.octavia('GET', `${path}?name=compute_flavor`, undefined, admin)).toMatchObject({
      body: { flavor_capabilities: [{ description: 'The compute driver flavor ID.' }] },
    })
    await refused('GET', '/providers/none/flavor_capabilities', undefined, 400, "Provider 'none' is not enabled.")
  })
})

describe('a load balancer', () => {
  const row = async (fields: object, call = api.octavia) => {
    const answer = await call('POST', '/loadbalancers', lb(fields))
    expect(answer).toMatchObject({ status: 201, body: { loadbalancer: { flavor_id: null, ...fields } } })
    return (await trees.read(api.pool, String((answer.body as Body).loadbalancer!.id)))!.load_balancer
  }

  test('is what its flavor says, else what the deployment does', async () => {
    const big = { topology: 'ACTIVE_STANDBY', compute_flavor: 'big', amp_image_tag: 'new' }
    expect(await row({ flavor_id: pair })).toMatchObject({ flavor_id: pair, ...big })
    expect(await row({})).toMatchObject({ topology: 'SINGLE', compute_flavor: null, amp_image_tag: null })
    const { octavia } = await api.start({ topology: 'ACTIVE_STANDBY' })
    expect(await row({}, octavia)).toMatchObject({ topology: 'ACTIVE_STANDBY' })
    const single = await made(
      '/flavors',
      flavor(await made('/flavorprofiles', profile({ loadbalancer_topology: 'SINGLE' }))),
    )
    expect(await row({ flavor_id: single }, octavia)).toMatchObject({ topology: 'SINGLE', compute_flavor: null })
    expect(await row({ flavor_id: single }, api.neutron)).toMatchObject({ flavor_id: single })
    await refused('DELETE', `/flavors/${single}`, undefined, 409, `Flavor ${single} is in use and cannot be modified.`)
  })

  test('is served by its flavor’s provider', async () => {
    const other_profile = await made('/flavorprofiles', profile({}, { provider_name: 'another' }))
    const other = await made('/flavors', flavor(other_profile))
    expect(await row({ flavor_id: other })).toMatchObject({ provider: 'another' })
    expect(await row({ flavor_id: pair, provider: 'amphora' })).toMatchObject({ flavor_id: pair })
    const text = `Flavor '${other}' is not compatible with provider 'amphora'`
    await refused('POST', '/loadbalancers', lb({ flavor_id: other, provider: 'amphora' }), 400, text)
    expect(await api.neutron('POST', '/loadbalancers', lb({ flavor_id: pair, provider: 'octavia' }))).toMatchObject({
      status: 409,
      body: { NeutronError: { type: 'ProviderFlavorConflict' } },
    })
  })

  test('cannot have a flavor that is not there, or not offered', async () => {
    const nowhere = randomUUID()
    const off = await made('/flavors', flavor(pair_profile, { enabled: false }))
    const ports = api.cloud.ports.size
    await refused('POST', '/loadbalancers', lb({ flavor_id: nowhere }), 400, 'Validation failure: Invalid flavor_id.')
    const disabled = `The selected flavor is not allowed in this deployment: ${off}`
    await refused('POST', '/loadbalancers', lb({ flavor_id: off }), 400, disabled)
    await refused('POST', '/loadbalancers', lb({ flavor_id: 'x' }), 400, /flavor_id. Value: 'x'. Value should be UUID/)
    expect(await api.neutron('POST', '/loadbalancers', lb({ flavor_id: nowhere }))).toMatchObject({
      status: 404,
      body: { NeutronError: { type: 'FlavorNotFound', message: `Flavor ${nowhere} could not be found.` } },
    })
    expect(api.cloud.ports.size).toBe(ports)
  })

  test('whose flavor goes while its port is being made is refused', async () => {
    const brief = await made('/flavors', flavor(pair_profile))
    api.cloud.made = async () => {
      expect(await api.octavia('DELETE', `/flavors/${brief}`, undefined, admin)).toMatchObject({ status: 204 })
    }
    await refused('POST', '/loadbalancers', lb({ flavor_id: brief }), 400, 'Validation failure: Invalid flavor_id.')
    api.cloud.made = async () => {}
  })
})
