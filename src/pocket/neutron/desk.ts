/** What Neutron's routes share: who asks, what he may see and change, what his request says, how an answer looks. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Fabric } from '../fabric/fabric.ts'
import type { Identity, Tokens } from '../keystone/tokens.ts'
import { identityOf, Refusal } from '../service.ts'
import type { Document, Store } from '../store.ts'
import { readBody } from './attributes.ts'
import { type Network, newGroup, newNetwork, newPort, newRule, newSubnet, type Rule, shown } from './documents.ts'
import type { Ports } from './ports.ts'
import type { Quotas } from './quotas.ts'
import { wishes } from './wishes.ts'

export type NeutronOptions = {
  store: Store
  fabric: Fabric
  ports: Ports
  quotas: Quotas
  url: string
  /** Where requests below /v2.0/lbaas go; null: there is no load balancing. */
  lbaas_url: string | null
}

export type Kind = 'network' | 'subnet' | 'port' | 'group' | 'rule' | 'qos_policy'

/** The words of a checked body, and whose the object is to be. */
export type Wishes = Record<string, unknown> & { project_id: string }

export class Desk {
  readonly options: NeutronOptions
  readonly store: Store
  readonly #tokens: Tokens

  constructor(options: NeutronOptions, tokens: Tokens) {
    this.options = options
    this.store = options.store
    this.#tokens = tokens
  }

  who(request: FastifyRequest): Identity {
    return identityOf(request, this.#tokens)
  }

  visible(kind: Kind, document: Document, identity: Identity): boolean {
    if (identity.admin || document.project_id === identity.project_id || document.shared === true) return true
    return kind === 'subnet' && this.store.get('network', String(document.network_id))?.shared === true
  }

  /** The object, if the asker may see it: what belongs to others is not there. */
  find<D extends Document>(kind: Kind, id: string, identity: Identity): D {
    const document = this.store.get<D>(kind, id)
    if (document && this.visible(kind, document, identity)) return document
    throw missing(kind, id)
  }

  /** The object that the request names, if the asker may change it. */
  own<D extends Document>(kind: Kind, request: FastifyRequest): D {
    const identity = this.who(request)
    const document = this.find<D>(kind, idOf(request), identity)
    if (identity.admin || document.project_id === identity.project_id) return document
    const verb = request.method === 'DELETE' ? 'delete' : 'update'
    throw new Refusal(403, 'PolicyNotAuthorized', `rule:${verb}_${kinds[kind].singular} is disallowed by policy`)
  }

  /** What a POST says. */
  newOf(kind: Kind, request: FastifyRequest): Wishes {
    return readBody(this.who(request), request.body, kinds[kind].singular, wishes[kind], 'post') as Wishes
  }

  /** What a PUT says: the attributes to change, and only those. */
  changesOf(kind: Kind, request: FastifyRequest): Record<string, unknown> {
    return readBody(this.who(request), request.body, kinds[kind].singular, wishes[kind], 'put')
  }

  made(reply: FastifyReply, kind: Kind, document: Document): FastifyReply {
    return reply.status(201).send({ [kinds[kind].singular]: shown(this.whole(kind, document)) })
  }

  /** A group with its rules, which have two more fields there than where they stand alone; a port with what its network
   *  adds. */
  whole(kind: Kind, document: Document): Document {
    if (kind === 'port') {
      const network = this.store.get<Network>('network', String(document.network_id))
      return { ...document, qos_network_policy_id: network?.qos_policy_id ?? null }
    }
    if (kind !== 'group') return document
    const rules = this.store.all<Rule>('rule').filter(rule => rule.security_group_id === document.id)
    const security_group_rules = rules.map(rule => ({ ...shown(rule), standard_attr_id: rule._number, tags: [] }))
    return { ...document, security_group_rules }
  }
}

export function idOf(request: FastifyRequest): string {
  return (request.params as { id: string }).id
}

/** How each kind is called, and a template whose fields are what lists may be filtered by. */
export const kinds: Record<Kind, { plural: string; collection: string; singular: string; template: Document }> = {
  network: { plural: 'networks', collection: 'networks', singular: 'network', template: newNetwork('', {}) },
  subnet: {
    plural: 'subnets',
    collection: 'subnets',
    singular: 'subnet',
    template: newSubnet('', { network_id: '', cidr: '', ip_version: 4 }),
  },
  port: { plural: 'ports', collection: 'ports', singular: 'port', template: newPort('', { network_id: '' }) },
  group: {
    plural: 'security-groups',
    collection: 'security_groups',
    singular: 'security_group',
    template: newGroup('', {}),
  },
  rule: {
    plural: 'security-group-rules',
    collection: 'security_group_rules',
    singular: 'security_group_rule',
    template: newRule('', { security_group_id: '', direction: 'ingress', ethertype: 'IPv4' }),
  },
  qos_policy: {
    plural: 'qos/policies',
    collection: 'policies',
    singular: 'policy',
    template: { id: '', name: '', project_id: '', tenant_id: '', shared: false, is_default: false, description: '' },
  },
}

export function missing(kind: Kind, id: string): Refusal {
  const [type, text] = {
    network: ['NetworkNotFound', `Network ${id} could not be found.`],
    subnet: ['SubnetNotFound', `Subnet ${id} could not be found.`],
    port: ['PortNotFound', `Port ${id} could not be found.`],
    group: ['SecurityGroupNotFound', `Security group ${id} does not exist`],
    rule: ['SecurityGroupRuleNotFound', `Security group rule ${id} does not exist`],
    qos_policy: ['QosPolicyNotFound', `QoS policy ${id} could not be found.`],
  }[kind] as [string, string]
  return new Refusal(404, type, text)
}
