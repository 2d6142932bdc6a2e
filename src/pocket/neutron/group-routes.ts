/** Neutron's routes of security groups and their rules. */
import type { FastifyInstance } from 'fastify'
import { Refusal } from '../service.ts'
import { drop, keep } from '../store.ts'
import { type Desk, idOf } from './desk.ts'
import { changed, type Port, type Rule, type SecurityGroup, shown } from './documents.ts'
import { createGroup, createRule, ensureDefaultGroup } from './groups.ts'

export function groupRoutes(app: FastifyInstance, desk: Desk): void {
  const { store } = desk
  const { ports, quotas } = desk.options
  app.post('/v2.0/security-groups', async (request, reply) => {
    const wishes = desk.newOf('group', request)
    await ensureDefaultGroup(store, wishes.project_id)
    if (wishes.name === 'default')
      throw new Refusal(409, 'SecurityGroupDefaultAlreadyExists', 'Default security group already exists.')
    quotas.check('security_group', wishes.project_id)
    const { group, rules } = createGroup(store, wishes)
    await store.commit(keep('group', group), ...rules.map(rule => keep('rule', rule)))
    return desk.made(reply, 'group', group)
  })
  app.put('/v2.0/security-groups/:id', async request => {
    const group = desk.own<SecurityGroup>('group', request)
    const changes = desk.changesOf('group', request)
    if (group.name === 'default' && changes.name !== undefined && changes.name !== 'default')
      throw new Refusal(409, 'SecurityGroupCannotUpdateDefault', 'Updating default security group not allowed.')
    const after = changed(group, changes)
    await store.commit(keep('group', after))
    return { security_group: shown(desk.whole('group', after)) }
  })
  app.delete('/v2.0/security-groups/:id', async (request, reply) => {
    const group = desk.own<SecurityGroup>('group', request)
    if (group.name === 'default' && !desk.who(request).admin)
      throw new Refusal(
        409,
        'SecurityGroupCannotRemoveDefault',
        'Insufficient rights for removing default security group.',
      )
    if (store.all<Port>('port').some(port => port.security_groups.includes(group.id)))
      throw new Refusal(409, 'SecurityGroupInUse', `Security Group ${group.id} in use.`)
    // rules of other groups that name this one go with it
    const gone = store
      .all<Rule>('rule')
      .filter(rule => rule.security_group_id === group.id || rule.remote_group_id === group.id)
    await store.commit(drop('group', group.id), ...gone.map(rule => drop('rule', rule.id)))
    await ports.groupsChanged(gone.map(rule => rule.security_group_id))
    return reply.status(204).send()
  })
  app.post('/v2.0/security-group-rules', async (request, reply) => {
    const identity = desk.who(request)
    const wishes = desk.newOf('rule', request)
    const group = desk.find<SecurityGroup>('group', String(wishes.security_group_id), identity)
    if (typeof wishes.remote_group_id === 'string') desk.find('group', wishes.remote_group_id, identity)
    quotas.check('security_group_rule', wishes.project_id)
    const rule = createRule(store, wishes)
    await store.commit(keep('rule', rule), keep('group', changed(group, {})))
    await ports.groupsChanged([rule.security_group_id])
    return desk.made(reply, 'rule', rule)
  })
  app.delete('/v2.0/security-group-rules/:id', async (request, reply) => {
    const rule = desk.own<Rule>('rule', request)
    const group = store.get<SecurityGroup>('group', rule.security_group_id)
    await store.commit(drop('rule', idOf(request)), ...(group ? [keep('group', changed(group, {}))] : []))
    await ports.groupsChanged([rule.security_group_id])
    return reply.status(204).send()
  })
}
