/** QoS policies and their rules: through the genuine client, what is refused, and what the machine is told of them. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { testDatabase } from '../postgres.ts'
import { genuine } from './genuine.ts'
import { PocketStack, until } from './pocket-stack.ts'

// A client takes seconds to start, and many of them on a busy machine.
vi.setConfig({ testTimeout: 300_000 })
const database = testDatabase()
let stack: PocketStack
let network_id: string

type Rule = { id: string; type?: string; qos_policy_id?: string; max_kbps: number; direction: string }
type Policy = { id: string; rules: Rule[]; revision_number: number; [field: string]: unknown }
type Port = { id: string; qos_policy_id: string | null; qos_network_policy_id: string | null }

const call = async <T = Record<string, unknown>>(
  method: string,
  path: string,
  body?: unknown,
  user: 'admin' | 'demo' = 'admin',
) => {
  const answer = await stack.as(user, 'network', method, `/v2.0/${path}`, body)
  return { status: answer.status, body: answer.body as T }
}
const refusal = (answer: { status: number; body: Record<string, unknown> }) => {
  const { type, message } = answer.body.NeutronError as { type: string; message: string }
  return [answer.status, type, message]
}
const policyOf = async (fields: object = {}) =>
  (await call<{ policy: Policy }>('POST', 'qos/policies', { policy: fields })).body.policy
const policy = async (id: string) => (await call<{ policy: Policy }>('GET', `qos/policies/${id}`)).body.policy
const ruleOf = async (policy_id: string, bandwidth_limit_rule: object) => {
  const path = `qos/policies/${policy_id}/bandwidth_limit_rules`
  const { status, body } = await call<{ bandwidth_limit_rule: Rule }>('POST', path, { bandwidth_limit_rule })
  expect(status, JSON.stringify(body)).toBe(201)
  return body.bandwidth_limit_rule
}
/** A port that is plugged: the machine has been told of it. */
const portOf = async (fields: object = {}) => {
  const host = { device_owner: 'pocket:host', device_id: 'tenant', 'binding:profile': { interface: 'eth0' } }
  const { status, body } = await call<{ port: Port }>('POST', 'ports', { port: { network_id, ...host, ...fields } })
  expect(status, JSON.stringify(body)).toBe(201)
  return body.port
}
const bandwidth = (port: Port) => stack.fabric.ports.get(port.id)?.bandwidth
const kbps = (max_kbps: number, max_burst_kbps = 0) => ({ max_kbps, max_burst_kbps })

beforeAll(async () => {
  stack = await PocketStack.start(database.url)
  const { body } = await call<{ networks: { id: string }[] }>('GET', 'networks?name=private')
  network_id = body.networks[0]!.id
})
afterAll(() => stack?.end())

describe('the genuine client', () => {
  const client = (line: string, user: 'admin' | 'demo' = 'admin') =>
    genuine(stack, user, `openstack ${line}`.split(' '))
  const json = async <T>(line: string, user: 'admin' | 'demo' = 'admin') =>
    JSON.parse(await client(`${line} -f json`, user)) as T

  test('makes, changes, lists, shows and deletes policies and their rules', async () => {
    const made = await json<Policy>('network qos policy create --share --description slow slow')
    expect(made).toMatchObject({ name: 'slow', description: 'slow', shared: true, is_default: false, rules: [] })
    await client('network qos policy set --description slower --name slower slow')
    const rule = await json<Rule>(
      'network qos rule create --type bandwidth-limit --max-kbps 3000 --max-burst-kbits 300 slower',
    )
    expect(rule).toMatchObject({ max_kbps: 3000, max_burst_kbps: 300, direction: 'egress' })
    const other = await json<Rule>('network qos rule create --type bandwidth-limit --max-kbps 4000 --ingress slower')
    expect(other).toMatchObject({ max_kbps: 4000, max_burst_kbps: 0, direction: 'ingress' })
    await client(`network qos rule set --max-kbps 5000 slower ${rule.id}`)
    expect(await json(`network qos rule show slower ${rule.id}`)).toMatchObject({ max_kbps: 5000, max_burst_kbps: 300 })
    const rules = await json<Record<string, unknown>[]>('network qos rule list slower', 'demo')
    expect(rules).toMatchObject([
      { ID: rule.id, 'QoS Policy ID': made.id, Type: 'bandwidth_limit', 'Max Kbps': 5000, Direction: 'egress' },
      { ID: other.id, Type: 'bandwidth_limit', 'Max Kbps': 4000, Direction: 'ingress' },
    ])
    expect(await json('network qos policy show slower', 'demo')).toMatchObject({ id: made.id, description: 'slower' })
    expect(await json('network qos policy list', 'demo')).toMatchObject([{ ID: made.id, Name: 'slower', Shared: true }])
    await client(`network qos rule delete slower ${rule.id}`)
    await client(`network qos rule delete slower ${other.id}`)
    expect(await json('network qos rule list slower')).toEqual([])
    await client('network qos policy delete slower')
    expect(await json('network qos policy list')).toEqual([])
  })

  test('lists the types of rules, and puts a policy on ports and networks', async () => {
    expect(await json('network qos rule type list')).toEqual([{ Type: 'bandwidth_limit' }])
    expect(await client('network qos rule type show bandwidth_limit')).toContain('max_burst_kbps')
    const { id } = await policyOf({ name: 'p', shared: true })
    await client('port create --network private --qos-policy p limited', 'demo')
    expect(await json('port show limited', 'demo')).toMatchObject({ qos_policy_id: id })
    await client('port unset --qos-policy limited', 'demo')
    expect(await json('port show limited', 'demo')).toMatchObject({ qos_policy_id: null })
    await client('port delete limited', 'demo')
    await client('network create --qos-policy p limited', 'demo')
    expect(await json('network show limited', 'demo')).toMatchObject({ qos_policy_id: id })
    await client('network set --no-qos-policy limited', 'demo')
    await client('network delete limited', 'demo')
    await client('network qos policy delete p')
  })
})

describe('what a policy and its rules are', () => {
  test('a policy shows its rules with their type and counts their changes; a rule alone has its own fields', async () => {
    const { id, revision_number } = await policyOf({ name: 'shown' })
    const made = await ruleOf(id, { max_kbps: 100 })
    expect(made).toEqual({ id: made.id, max_kbps: 100, max_burst_kbps: 0, direction: 'egress' })
    const after = await policy(id)
    expect(after.rules).toEqual([{ ...made, qos_policy_id: id, type: 'bandwidth_limit' }])
    expect(after.revision_number).toBe(revision_number + 1)
    const path = `qos/policies/${id}/bandwidth_limit_rules`
    expect((await call('GET', path)).body).toEqual({ bandwidth_limit_rules: [made] })
    expect((await call('GET', `${path}?direction=ingress`)).body).toEqual({ bandwidth_limit_rules: [] })
    expect((await call('GET', `${path}/${made.id}?fields=max_kbps`)).body).toEqual({
      bandwidth_limit_rule: { max_kbps: 100 },
    })
    expect((await call('DELETE', `qos/policies/${id}`)).status).toBe(204)
  })

  test('a default policy is what new networks of its project get', async () => {
    const { id } = await policyOf({ is_default: true })
    const second = await call('POST', 'qos/policies', { policy: { is_default: true } })
    expect(refusal(second)).toEqual([
      409,
      'QoSPolicyDefaultAlreadyExists',
      expect.stringMatching(/^A default QoS policy exists for project \w+\.$/),
    ])
    const { network } = (
      await call<{ network: { id: string; qos_policy_id: string } }>('POST', 'networks', { network: {} })
    ).body
    expect(network.qos_policy_id).toBe(id)
    const used = await call('DELETE', `qos/policies/${id}`)
    expect(refusal(used)).toEqual([409, 'QosPolicyInUse', `QoS Policy ${id} is used by network ${network.id}.`])
    await call('DELETE', `networks/${network.id}`)
    await call('DELETE', `qos/policies/${id}`)
  })
})

describe('refused in Neutron’s words', () => {
  let id: string
  let path: string
  let rule: Rule
  const nowhere = '00000000-0000-0000-0000-000000000000'
  beforeAll(async () => {
    id = (await policyOf({ name: 'refusing', shared: true })).id
    path = `qos/policies/${id}/bandwidth_limit_rules`
    rule = await ruleOf(id, { max_kbps: 100 })
  })
  afterAll(() => call('DELETE', `qos/policies/${id}`))
  const post = async (bandwidth_limit_rule: unknown) => refusal(await call('POST', path, { bandwidth_limit_rule }))

  test('what is not there', async () => {
    const policies = [404, 'QosPolicyNotFound', `QoS policy ${nowhere} could not be found.`]
    expect(refusal(await call('GET', `qos/policies/${nowhere}/bandwidth_limit_rules`))).toEqual(policies)
    expect(refusal(await call('PUT', `ports/${(await portOf()).id}`, { port: { qos_policy_id: nowhere } }))).toEqual(
      policies,
    )
    expect(refusal(await call('PUT', `networks/${network_id}`, { network: { qos_policy_id: nowhere } }))).toEqual(
      policies,
    )
    const rules = [404, 'QosRuleNotFound', `QoS rule ${nowhere} for policy ${id} could not be found.`]
    for (const method of ['GET', 'PUT', 'DELETE'])
      expect(refusal(await call(method, `${path}/${nowhere}`, method === 'PUT' ? {} : undefined))).toEqual(rules)
    const elsewhere = await policyOf()
    const other = await call('GET', `qos/policies/${elsewhere.id}/bandwidth_limit_rules/${rule.id}`)
    expect(other.status).toBe(404)
    await call('DELETE', `qos/policies/${elsewhere.id}`)
  })

  test('a second rule of a direction', async () => {
    const twin = `conflicts with rule ${rule.id} which already exists in QoS Policy ${id}.`
    expect(await post({ max_kbps: 7 })).toEqual([409, 'QoSRulesConflict', `Rule bandwidth_limit ${twin}`])
    const other = await ruleOf(id, { max_kbps: 7, direction: 'ingress' })
    const turned = await call('PUT', `${path}/${other.id}`, { bandwidth_limit_rule: { direction: 'egress' } })
    expect(refusal(turned)).toEqual([409, 'QoSRulesConflict', `Rule bandwidth_limit ${twin}`])
    expect((await call('DELETE', `${path}/${other.id}`)).status).toBe(204)
  })

  test('what is no rule', async () => {
    const bad = (message: string) => [400, 'HTTPBadRequest', message]
    expect(await post({})).toEqual(bad("Failed to parse request. Required attribute 'max_kbps' not specified"))
    expect(await post({ max_kbps: 'x' })).toEqual(bad("Invalid input for max_kbps. Reason: 'x' is not an integer."))
    expect(await post({ max_kbps: -1 })).toEqual(
      bad("Invalid input for max_kbps. Reason: '-1' is too small - must be at least '0'."),
    )
    expect(await post({ max_kbps: 2 ** 31 })).toEqual(
      bad("Invalid input for max_kbps. Reason: '2147483648' is too large - must be no larger than '2147483647'."),
    )
    expect((await post({ max_kbps: 1, direction: 'any' }))[2]).toMatch(
      /^Invalid input for direction\. Reason: 'any' is not in/,
    )
    expect(await post({ max_kbps: 1, min_kbps: 1 })).toEqual(bad("Unrecognized attribute(s) 'min_kbps'"))
  })

  test('to all but administrators', async () => {
    const rule_name = 'policy_bandwidth_limit_rule'
    const body = { bandwidth_limit_rule: { max_kbps: 9 } }
    const forbidden = (name: string) => [403, 'PolicyNotAuthorized', `rule:${name} is disallowed by policy`]
    expect(refusal(await call('POST', path, body, 'demo'))).toEqual(forbidden(`create_${rule_name}`))
    expect(refusal(await call('PUT', `${path}/${rule.id}`, body, 'demo'))).toEqual(forbidden(`update_${rule_name}`))
    expect(refusal(await call('DELETE', `${path}/${rule.id}`, undefined, 'demo'))).toEqual(
      forbidden(`delete_${rule_name}`),
    )
    expect(refusal(await call('PUT', `qos/policies/${id}`, { policy: {} }, 'demo'))).toEqual(forbidden('update_policy'))
    expect(refusal(await call('DELETE', `qos/policies/${id}`, undefined, 'demo'))).toEqual(forbidden('delete_policy'))
    expect((await call('GET', `${path}/${rule.id}`, undefined, 'demo')).status).toBe(200)
    expect((await call('GET', 'qos/rule-types/bandwidth_limit', undefined, 'demo')).status).toBe(403)
  })

  test('a tenant keeps what an administrator has put on his port', async () => {
    const hidden = await policyOf()
    const { port } = (await call<{ port: Port }>('POST', 'ports', { port: { network_id } }, 'demo')).body
    expect((await call('PUT', `ports/${port.id}`, { port: { qos_policy_id: hidden.id } })).status).toBe(200)
    const shed = await call('PUT', `ports/${port.id}`, { port: { qos_policy_id: null } }, 'demo')
    const message = `Failed to remove provided policy ${hidden.id} because you are not authorized.`
    expect(refusal(shed)).toEqual([403, 'PolicyRemoveAuthorizationError', message])
    const used = await call('DELETE', `qos/policies/${hidden.id}`)
    expect(refusal(used)).toEqual([409, 'QosPolicyInUse', `QoS Policy ${hidden.id} is used by port ${port.id}.`])
    await call('DELETE', `ports/${port.id}`)
    expect((await call('DELETE', `qos/policies/${hidden.id}`)).status).toBe(204)
  })

  test('rules that no switch here can keep: a port does not take the policy, and a policy in use not the rule', async () => {
    const marking = { dscp_marking_rule: { dscp_mark: 10 } }
    const marks = await policyOf()
    expect((await call('POST', `qos/policies/${marks.id}/dscp_marking_rules`, marking)).status).toBe(201)
    const port = await portOf()
    const refused = [409, 'QosRuleNotSupported', `Rule dscp_marking is not supported by port ${port.id}`]
    expect(refusal(await call('PUT', `ports/${port.id}`, { port: { qos_policy_id: marks.id } }))).toEqual(refused)
    expect((await call('PUT', `ports/${port.id}`, { port: { qos_policy_id: id } })).status).toBe(200)
    expect(refusal(await call('POST', `qos/policies/${id}/dscp_marking_rules`, marking))).toEqual(refused)
    expect((await policy(id)).rules).toHaveLength(1)
    await call('PUT', `ports/${port.id}`, { port: { qos_policy_id: null } })
    // and of what is not announced there is nothing
    expect((await call('GET', `qos/policies/${id}/minimum_packet_rate_rules`)).status).toBe(404)
    await call('DELETE', `qos/policies/${marks.id}`)
  })
})

describe('the machine', () => {
  test('follows the port’s policy and the policy’s rules', async () => {
    const { id } = await policyOf()
    const port = await portOf({ qos_policy_id: id })
    expect(bandwidth(port)).toEqual({ egress: null, ingress: null })
    const rule = await ruleOf(id, { max_kbps: 100, direction: 'ingress' })
    expect(bandwidth(port)).toEqual({ egress: null, ingress: kbps(100) })
    await ruleOf(id, { max_kbps: 0 })
    expect(bandwidth(port)).toEqual({ egress: null, ingress: kbps(100) })
    const path = `qos/policies/${id}/bandwidth_limit_rules/${rule.id}`
    await call('PUT', path, { bandwidth_limit_rule: { max_burst_kbps: 30, max_kbps: 200 } })
    expect(bandwidth(port)).toEqual({ egress: null, ingress: kbps(200, 30) })
    await call('PUT', `ports/${port.id}`, { port: { qos_policy_id: null } })
    expect(bandwidth(port)).toEqual({ egress: null, ingress: null })
    await call('PUT', `ports/${port.id}`, { port: { qos_policy_id: id } })
    expect((await call('DELETE', path)).status).toBe(204)
    expect(bandwidth(port)).toEqual({ egress: null, ingress: null })
    await call('DELETE', `ports/${port.id}`)
  })

  test('gives a port its network’s policy where it has none of its own', async () => {
    const [outer, inner] = [await policyOf(), await policyOf()]
    await ruleOf(outer.id, { max_kbps: 100 })
    await ruleOf(inner.id, { max_kbps: 200 })
    const port = await portOf()
    await call('PUT', `networks/${network_id}`, { network: { qos_policy_id: outer.id } })
    expect(bandwidth(port)?.egress).toEqual(kbps(100))
    const seen = async () => (await call<{ port: Port }>('GET', `ports/${port.id}`)).body.port
    expect(await seen()).toMatchObject({ qos_policy_id: null, qos_network_policy_id: outer.id })
    await call('PUT', `ports/${port.id}`, { port: { qos_policy_id: inner.id } })
    expect(bandwidth(port)?.egress).toEqual(kbps(200))
    await call('PUT', `ports/${port.id}`, { port: { qos_policy_id: null } })
    expect(bandwidth(port)?.egress).toEqual(kbps(100))
    await call('PUT', `networks/${network_id}`, { network: { qos_policy_id: null } })
    expect(bandwidth(port)?.egress).toBeNull()
    expect(await seen()).toMatchObject({ qos_network_policy_id: null })
  })

  test('is told with a port that is plugged later, and again after a power cut', async () => {
    const { id } = await policyOf({ shared: true })
    const { body } = await call<{ port: Port }>('POST', 'ports', { port: { network_id, qos_policy_id: id } }, 'demo')
    await ruleOf(id, { max_kbps: 300 })
    expect(bandwidth(body.port)).toBeUndefined()
    const images = await stack.as('demo', 'image', 'GET', '/v2/images?name=debian')
    const imageRef = (images.body as { images: { id: string }[] }).images[0]!.id
    const server = { name: 's', imageRef, flavorRef: '1', networks: [{ port: body.port.id }] }
    expect((await stack.as('demo', 'compute', 'POST', '/v2.1/servers', { server })).status).toBe(202)
    const limited = () =>
      until(
        async () => bandwidth(body.port)?.egress,
        limit => limit?.max_kbps === 300,
      )
    await limited()
    await stack.stop()
    stack.fabric.lose()
    await stack.start()
    await limited()
    expect((await policy(id)).rules).toMatchObject([{ max_kbps: 300 }])
  })
})
