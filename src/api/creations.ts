/** Creates: what the cloud says about what they name is looked up, the VIP is reserved, then they are written. */
import { rehearse } from '../lbaas/change.ts'
import { Rejected } from '../lbaas/errors.ts'
import { type LoadBalancerPost, refuseWithoutVip } from '../lbaas/load-balancer.ts'
import type { MemberSubnet } from '../lbaas/member.ts'
import type { Creation } from '../lbaas/nested.ts'
import { refuseUnsupported } from '../lbaas/provider.ts'
import type { Dialect } from '../lbaas/resource.ts'
import type { Tree } from '../lbaas/tree.ts'
import * as quotas from '../store/quotas.ts'
import * as reservations from '../store/reservations.ts'
import { tables } from '../store/schema.ts'
import { checkCertificates } from './certificate-references.ts'
import { chosenFor, goneChoice } from './choices.ts'
import type { Context } from './context.ts'
import { memberSubnet, refuseUnknownPortParts, type Tenant } from './lookups.ts'
import { refuseForeignProject } from './owners.ts'
import { allow, type Caller } from './policy.ts'
import { settleVip } from './vip.ts'
import { type Numbered, termsOf, write } from './write.ts'

/** A load balancer, with all that its POST brings along: all or nothing. */
export async function acceptLoadBalancer(
  context: Context,
  caller: Caller,
  dialect: Dialect,
  [{ new_id: id, fields: given }, ...others]: [Creation, ...Creation[]],
): Promise<Tree> {
  const { options, pool } = context
  const post = given as LoadBalancerPost
  const project_id = post.project_id || caller.project_id
  if (!project_id) throw new Rejected('missing_project', {})
  refuseForeignProject(caller, 'load_balancer', post)
  allow(caller, dialect, 'create', tables.load_balancer, id, { project_id })
  const { provider, flavor, zone } = await chosenFor(context, dialect, post)
  const fields = { ...post, project_id, provider: provider.name }
  refuseWithoutVip(fields)
  const children = await completed(context, caller, project_id, others)
  const topology = provider.topologies.find(one => one === options.topology) ?? provider.topologies[0]
  const root = { verb: 'create', resource: 'load_balancer', fields, topology, flavor, zone } as const
  await refuseUnknownPortParts(context, tenantOf(caller, project_id), fields)
  // Nobody gets a port made for what is refused anyway.
  refuseUnsupported(provider, rehearse(root, children, termsOf(context, id)))
  await quotas.refuseBeyond(pool, project_id, 'load_balancer', options.quotas, 1)
  const vip = await settleVip(context, tenantOf(caller, project_id), id, fields, { zone, flavor })
  try {
    const requests = [{ ...root, vip }, ...children]
    return await write(context, caller, { load_balancer_id: null, project_id, id, requests })
  } catch (error) {
    // The port is left to the sweeper: should the commit have come through after all, the VIP is live. Should this
    // fail too, the reservation's age does.
    if (vip.owned) await reservations.abandon(pool, id).catch(() => {})
    throw goneChoice(error, post) ?? error
  }
}

/** The creations as requests, with what the cloud says about what they name. */
export async function completed(
  context: Context,
  caller: Caller,
  project_id: string,
  creations: Creation[],
): Promise<Numbered[]> {
  const tenant = tenantOf(caller, project_id)
  const subnets = new Map<string, Promise<MemberSubnet>>()
  const subnetOf = ({ subnet_id }: Record<string, unknown>): Promise<MemberSubnet> | null => {
    if (typeof subnet_id !== 'string') return null
    const asked = subnets.get(subnet_id) ?? memberSubnet(context.neutron, tenant, subnet_id)
    subnets.set(subnet_id, asked)
    return asked
  }
  return Promise.all(
    creations.map(async creation => {
      await checkCertificates(context, caller, creation.resource, creation.fields)
      const subnet = creation.resource === 'member' ? { subnet: await subnetOf(creation.fields) } : {}
      return { verb: 'create', ...creation, ...subnet } as Numbered
    }),
  )
}

export function tenantOf(caller: Caller, project_id: string): Tenant {
  return { project_id, is_admin: caller.is_admin }
}
