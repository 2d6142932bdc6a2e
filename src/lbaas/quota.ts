/** The quota: how many objects of each kind a project may have. */
import { integer, resource, string } from './resource.ts'

const limit = { null: true, min: -1, change: true } as const

export const quota = resource({
  name: 'quota',
  title: 'Quota',
  singular: 'quota',
  plural: 'quotas',
  path: 'quotas',
  key: 'project_id',
  fields: {
    project_id: string({ post: false, doc: 'The project that it is for.' }),
    load_balancer: integer({ ...limit, doc: 'Load balancers; null for the default, -1 for no limit.' }),
    listener: integer({ ...limit, doc: 'Listeners; null for the default, -1 for no limit.' }),
    pool: integer({ ...limit, doc: 'Pools; null for the default, -1 for no limit.' }),
    member: integer({ ...limit, doc: 'Members; null for the default, -1 for no limit.' }),
    health_monitor: integer({ ...limit, doc: 'Health monitors; null for the default, -1 for no limit.' }),
    l7policy: integer({
      ...limit,
      neutron: false,
      since: '2.19',
      doc: 'L7 policies; null for the default, -1 for no limit.',
    }),
    l7rule: integer({
      ...limit,
      neutron: false,
      since: '2.19',
      doc: 'L7 rules; null for the default, -1 for no limit.',
    }),
  },
})
