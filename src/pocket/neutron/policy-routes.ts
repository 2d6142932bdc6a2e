/** Neutron's routes of QoS policies and their rules, which only administrators change. */
import { randomUUID } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Refusal } from '../service.ts'
import { type Document, drop, keep } from '../store.ts'
import { type Attributes, integer, oneOf, readBody } from './attributes.ts'
import { type Desk, idOf } from './desk.ts'
import { changed, type Network, newPolicy, type Port, type QosPolicy, type QosRule, shown } from './documents.ts'
import { list, type Query, selected } from './list.ts'
import { checkSupport, defaultPolicy, portsUnder } from './qos.ts'

export function policyRoutes(app: FastifyInstance, desk: Desk): void {
  const { store } = desk
  app.post('/v2.0/qos/policies', async (request, reply) => {
    adminOnly(desk, request, 'create_policy')
    const { project_id, ...fields } = desk.newOf('qos_policy', request)
    const policy = newPolicy(project_id, fields)
    checkDefault(desk, policy)
    await store.commit(keep('qos_policy', policy))
    return desk.made(reply, 'qos_policy', policy)
  })
  app.put('/v2.0/qos/policies/:id', async request => {
    const policy = seen(desk, request)
    adminOnly(desk, request, 'update_policy')
    const after = changed(policy, desk.changesOf('qos_policy', request))
    checkDefault(desk, after)
    await store.commit(keep('qos_policy', after))
    return { policy: shown(after) }
  })
  app.delete('/v2.0/qos/policies/:id', async (request, reply) => {
    const policy = seen(desk, request)
    adminOnly(desk, request, 'delete_policy')
    for (const kind of ['network', 'port'] as const) {
      const user = store.all<Network | Port>(kind).find(one => one.qos_policy_id === policy.id)
      if (user) throw new Refusal(409, 'QosPolicyInUse', `QoS Policy ${policy.id} is used by ${kind} ${user.id}.`)
    }
    await store.commit(drop('qos_policy', policy.id))
    return reply.status(204).send()
  })
  for (const type of Object.keys(ruleTypes) as QosRule['type'][]) ruleRoutes(app, desk, type)
  ruleTypeRoutes(app, desk)
}

function seen(desk: Desk, request: FastifyRequest): QosPolicy {
  return desk.find<QosPolicy>('qos_policy', idOf(request), desk.who(request))
}

function adminOnly(desk: Desk, request: FastifyRequest, rule: string): void {
  if (!desk.who(request).admin) throw new Refusal(403, 'PolicyNotAuthorized', `rule:${rule} is disallowed by policy`)
}

function checkDefault({ store }: Desk, policy: QosPolicy): void {
  const other = policy.is_default ? defaultPolicy(store, policy.project_id) : undefined
  if (other && other.id !== policy.id)
    throw new Refusal(
      409,
      'QoSPolicyDefaultAlreadyExists',
      `A default QoS policy exists for project ${policy.project_id}.`,
    )
}

/** The rules of one type. Rules lie in their policy, whose revision they raise. */
function ruleRoutes(app: FastifyInstance, desk: Desk, type: QosRule['type']): void {
  const { store } = desk
  const { ports } = desk.options
  const { attributes, usual, alike } = ruleTypes[type]
  const [singular, collection] = [`${type}_rule`, `${type}_rules`]
  const path = `/v2.0/qos/policies/:id/${collection}`
  const shownRule = ({ qos_policy_id: _, type: __, ...rule }: QosRule) => rule as Document
  const ruleOf = (policy: QosPolicy, request: FastifyRequest) => {
    const { rule_id } = request.params as { rule_id: string }
    const rule = policy.rules.find(one => one.id === rule_id && one.type === type)
    if (rule) return rule
    throw new Refusal(404, 'QosRuleNotFound', `QoS rule ${rule_id} for policy ${policy.id} could not be found.`)
  }
  const checkTwin = (policy: QosPolicy, rule: QosRule) => {
    const twin = policy.rules.find(
      one => one.id !== rule.id && one.type === type && alike.every(field => one[field] === rule[field]),
    )
    if (twin)
      throw new Refusal(
        409,
        'QoSRulesConflict',
        `Rule ${type} conflicts with rule ${twin.id} which already exists in QoS Policy ${policy.id}.`,
      )
  }
  const write = async (policy: QosPolicy, rules: QosRule[]) => {
    const after = changed(policy, { rules })
    for (const port of portsUnder(store, policy.id)) checkSupport(port, after)
    await store.commit(keep('qos_policy', after))
    await ports.follow(portsUnder(store, policy.id))
  }
  app.get(path, request => {
    const { id, rules } = seen(desk, request)
    const template = { id: '', ...Object.fromEntries(Object.keys(attributes).map(name => [name, null])) }
    const own = rules.filter(rule => rule.type === type).map(shownRule)
    const self = `${desk.options.url}/v2.0/qos/policies/${id}/${collection}`
    return list(collection, own, request.query as Query, template, self)
  })
  app.get(`${path}/:rule_id`, request => {
    const rule = ruleOf(seen(desk, request), request)
    return { [singular]: selected(shownRule(rule), request.query as Query) }
  })
  app.post(path, async (request, reply) => {
    adminOnly(desk, request, `create_policy_${singular}`)
    const policy = seen(desk, request)
    const { project_id: _, ...fields } = readBody(desk.who(request), request.body, singular, attributes, 'post')
    const rule = { ...usual, ...fields, id: randomUUID(), qos_policy_id: policy.id, type } as QosRule
    checkTwin(policy, rule)
    await write(policy, [...policy.rules, rule])
    return reply.status(201).send({ [singular]: shownRule(rule) })
  })
  app.put(`${path}/:rule_id`, async request => {
    const policy = seen(desk, request)
    const rule = ruleOf(policy, request)
    adminOnly(desk, request, `update_policy_${singular}`)
    const after = { ...rule, ...readBody(desk.who(request), request.body, singular, attributes, 'put') }
    checkTwin(policy, after)
    await write(
      policy,
      policy.rules.map(one => (one.id === rule.id ? after : one)),
    )
    return { [singular]: shownRule(after) }
  })
  app.delete(`${path}/:rule_id`, async (request, reply) => {
    const policy = seen(desk, request)
    const rule = ruleOf(policy, request)
    adminOnly(desk, request, `delete_policy_${singular}`)
    await write(
      policy,
      policy.rules.filter(one => one.id !== rule.id),
    )
    return reply.status(204).send()
  })
}

const both = { post: true, put: true }
const most = 2_147_483_647
const rate = { check: integer(0, most), ...both, required: true }
const dscpMarks = '0 8 10 12 14 16 18 20 22 24 26 28 30 32 34 36 38 40 46 48 56'.split(' ')
const direction = { check: oneOf('egress', 'ingress'), ...both }

/** A policy may have rules of each type that Neutron knows without further extensions; no port may have a policy with one
 *  that its switch cannot keep, which are all but limits. `alike` are the fields in which two of a policy must differ. */
const ruleTypes: Record<
  QosRule['type'],
  { attributes: Attributes; usual: Partial<QosRule>; alike: (keyof QosRule & string)[] }
> = {
  bandwidth_limit: {
    attributes: { max_kbps: rate, max_burst_kbps: { check: integer(0, most), ...both }, direction },
    usual: { max_burst_kbps: 0, direction: 'egress' },
    alike: ['direction'],
  },
  dscp_marking: {
    attributes: { dscp_mark: { check: value => Number(oneOf(...dscpMarks)(String(value))), ...both, required: true } },
    usual: {},
    alike: [],
  },
  minimum_bandwidth: {
    attributes: { min_kbps: rate, direction },
    usual: { direction: 'egress' },
    alike: ['direction'],
  },
}

/** What switches can keep; everything that Neutron knows, for those who ask for that. */
function ruleTypeRoutes(app: FastifyInstance, desk: Desk): void {
  app.get('/v2.0/qos/rule-types', request => {
    desk.who(request)
    const { all_rules } = request.query as { all_rules?: string }
    const all = /^(true|1)$/i.test(all_rules ?? '') ? Object.keys(ruleTypes) : ['bandwidth_limit']
    return { rule_types: all.map(type => ({ type })) }
  })
  app.get('/v2.0/qos/rule-types/:id', request => {
    if (!desk.who(request).admin) throw new Refusal(403, 'NotAuthorized', 'Not authorized.')
    const type = idOf(request)
    if (!Object.hasOwn(ruleTypes, type)) throw new Refusal(404, 'HTTPNotFound', 'The resource could not be found.')
    const range = { parameter_type: 'range', parameter_values: { start: 0, end: most } }
    const supported_parameters = [
      { parameter_name: 'max_kbps', ...range },
      { parameter_name: 'max_burst_kbps', ...range },
      { parameter_name: 'direction', parameter_type: 'choices', parameter_values: ['egress', 'ingress'] },
    ]
    const drivers = type === 'bandwidth_limit' ? [{ name: 'pocket', supported_parameters }] : []
    return { rule_type: { type, drivers } }
  })
}
