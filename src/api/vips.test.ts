/** Further addresses of a load balancer, and what the tenant wants of the ports that carry them. */
import { describe, expect, test } from 'vitest'
import { sampleId } from '../lbaas/sample.ts'
import { apiForTests, foreign_subnet, member_subnet, network, shared_subnet, subnet, subnet_v6 } from './pretended.ts'

const api = apiForTests()
type Body = Record<string, unknown>

const post = async (fields: Body) => {
  const { status, body } = await api.octavia('POST', '/loadbalancers', { loadbalancer: fields })
  const { loadbalancer, faultstring } = body as { loadbalancer?: Body; faultstring?: string }
  return { status, loadbalancer: loadbalancer ?? {}, text: faultstring ?? '' }
}

describe('further VIPs', () => {
  test('are on the port of the VIP, one of each subnet', async () => {
    const { status, loadbalancer } = await post({ vip_subnet_id: subnet, additional_vips: [{ subnet_id: subnet_v6 }] })
    expect(status).toBe(201)
    const port = api.cloud.ports.get(String(loadbalancer.vip_port_id))!
    expect(port.fixed_ips.map(one => one.subnet_id)).toEqual([subnet, subnet_v6])
    expect(loadbalancer.additional_vips).toEqual([
      { subnet_id: subnet_v6, ip_address: port.fixed_ips[1]!.ip_address, port_id: loadbalancer.vip_port_id },
    ])
    const shown = await api.octavia('GET', `/loadbalancers/${loadbalancer.id}`)
    expect(shown.body).toMatchObject({ loadbalancer: { additional_vips: [{ subnet_id: subnet_v6 }] } })
    const listener = { loadbalancer_id: loadbalancer.id, protocol: 'HTTP', protocol_port: 80 }
    const cidrs = { ...listener, allowed_cidrs: ['10.0.0.0/8', 'fd00::/8'] }
    expect((await api.octavia('POST', '/listeners', { listener: cidrs })).status).toBe(201)
  })

  test('leave the VIP another subnet of the network', async () => {
    const { loadbalancer } = await post({ vip_network_id: network, additional_vips: [{ subnet_id: subnet }] })
    expect(loadbalancer).toMatchObject({ vip_subnet_id: subnet_v6, additional_vips: [{ subnet_id: subnet }] })
  })

  test.each<[Body, RegExp]>([
    [{ vip_subnet_id: subnet, additional_vips: [{ subnet_id: subnet }] }, /Only one IP can be bound per subnet/],
    [{ vip_subnet_id: subnet, additional_vips: [{ subnet_id: member_subnet }] }, /must belong to the same network/],
    [{ vip_subnet_id: subnet, additional_vips: [{ subnet_id: foreign_subnet }] }, /Subnet .* not found/],
    [{ vip_subnet_id: subnet, additional_vips: [{ subnet_id: sampleId(99) }] }, /Subnet .* not found/],
    [{ vip_subnet_id: subnet, additional_vips: [{ subnet_id: subnet_v6, ip_address: '10.0.0.9' }] }, /not a valid IP/],
    [{ vip_subnet_id: subnet, additional_vips: [{}] }, /Value may not be null/],
    [{ vip_subnet_id: subnet, additional_vips: [{ ip_address: '10.0.0.9' }] }, /attribute subnet_id/],
    [{ vip_subnet_id: shared_subnet, additional_vips: [{ subnet_id: subnet }] }, /must belong to the same network/],
  ])('%j is refused, and no port is made', async (fields, expected) => {
    const ports = api.cloud.ports.size
    const { status, text } = await post(fields)
    expect({ status, text }).toEqual({ status: 400, text: expect.stringMatching(expected) })
    expect(api.cloud.ports.size).toBe(ports)
  })

  test('are looked for on a port that the tenant brings', async () => {
    const own = { project_id: 'demo-project', network_id: network, device_id: '', security_groups: [] }
    const fixed_ips = [subnet, subnet_v6].map((subnet_id, n) => ({
      subnet_id,
      ip_address: ['10.0.0.77', 'fd36:53a8:d962::77'][n]!,
    }))
    for (const [id, ips] of [
      [sampleId(951), fixed_ips],
      [sampleId(952), fixed_ips.slice(0, 1)],
    ] as const)
      api.cloud.ports.set(id, { ...own, id, fixed_ips: ips } as never)
    const fields = { vip_subnet_id: subnet, additional_vips: [{ subnet_id: subnet_v6 }] }
    expect(await post({ ...fields, vip_port_id: sampleId(952) })).toMatchObject({
      status: 400,
      text: expect.stringMatching(/has no address on/),
    })
    expect((await post({ ...fields, vip_port_id: sampleId(951) })).loadbalancer).toMatchObject({
      vip_address: '10.0.0.77',
      additional_vips: [{ ip_address: 'fd36:53a8:d962::77', port_id: sampleId(951) }],
    })
  })
})

describe('the ports of the VIP', () => {
  test('get the tenant’s security groups and QoS policy, which must be the tenant’s or shared', async () => {
    const fields = { vip_subnet_id: subnet, vip_sg_ids: [sampleId(901)], vip_qos_policy_id: sampleId(911) }
    const { status, loadbalancer } = await post(fields)
    expect({ status, loadbalancer }).toMatchObject({
      status: 201,
      loadbalancer: { ...fields, vip_vnic_type: 'normal' },
    })
    expect(await post({ ...fields, vip_sg_ids: [sampleId(902)] })).toMatchObject({ status: 400 })
    expect(await post({ ...fields, vip_qos_policy_id: sampleId(912) })).toMatchObject({
      status: 400,
      text: `qos_policy ${sampleId(912)} not found.`,
    })
    const put = async (loadbalancer_fields: Body) => {
      const answer = await api.octavia('PUT', `/loadbalancers/${loadbalancer.id}`, {
        loadbalancer: loadbalancer_fields,
      })
      return answer.status
    }
    expect(await put({ vip_sg_ids: [sampleId(902)] })).toBe(400)
    expect(await put({ vip_qos_policy_id: null, vip_sg_ids: [] })).toBe(200)
  })

  test('the tenant’s groups and allowed_cidrs say the same thing twice', async () => {
    const { loadbalancer } = await post({ vip_subnet_id: subnet })
    const listener = {
      loadbalancer_id: loadbalancer.id,
      protocol: 'HTTP',
      protocol_port: 80,
      allowed_cidrs: ['10.0.0.0/8'],
    }
    expect((await api.octavia('POST', '/listeners', { listener })).status).toBe(201)
    const groups = { loadbalancer: { vip_sg_ids: [sampleId(901)] } }
    expect(await api.octavia('PUT', `/loadbalancers/${loadbalancer.id}`, groups)).toMatchObject({
      status: 400,
      body: {
        faultstring: expect.stringMatching(/Allowed CIDRs are not allowed when using custom VIP Security Groups/),
      },
    })
  })
})
