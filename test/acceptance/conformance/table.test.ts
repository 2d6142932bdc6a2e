/** The table of conformance: every route of both dialects, what it answers and refuses, what it locks, and what it does to
 *  traffic, by raw HTTP on load balancers with amphorae. A route without its cells fails the laws at the end. */
import fs from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { Stack } from '../stack.ts'
import { Bed, type Dialect, type Ground, groundOf } from './table/bed.ts'
import { type Cell, calls, judge } from './table/cell.ts'
import { cellsOf } from './table/flow.ts'

const stack = new Stack(inject('stack_dir'))
let ground: Ground

beforeAll(async () => {
  ground = await groundOf(stack)
})
afterAll(() => ground.end())

/** Answered without a token. */
const open = ['/', '/healthcheck', '/openapi.json', '/docs', '/docs/{file}'].map(route => `GET ${route}`)

describe.each(['octavia', 'neutron'] as const)('%s', dialect => {
  let bed: Bed
  const cells = cellsOf(dialect)
  const routes = documented(dialect)

  beforeAll(async () => {
    bed = new Bed(ground, dialect)
    // Octavia’s cells make one of their own
    if (dialect === 'neutron') bed.ids.flavors = await ground.admin.singleAmphora()
  })
  afterAll(() => bed.clear())

  test.each(cells.map(cell => [`${cell.route} ${cell.does}`, cell] as const))('%s', async (_, cell) => {
    await judge(bed, cell)
  })

  test('no route answers without a token, but for those that are for all', async () => {
    for (const route of routes.filter(one => !open.includes(one))) {
      const [method = '', template = ''] = route.split(' ')
      const { status, body } = await bed.ask('nobody', method, template.replace(/\{\w+\}/g, 'x'))
      expect([route, status]).toEqual([route, 401])
      expect(body).toEqual({ error: { code: 401, title: 'Unauthorized', message: expect.any(String) } })
    }
  })
})

/** Which routes may lack what a law demands of every route, and why. */
const exceptions: { law: Law; routes: RegExp; reason: string }[] = [
  {
    ...{ law: 'succeeds', routes: /^neutron GET \/(healthcheck|openapi\.json|docs)/ },
    reason: 'not behind Neutron, but on a port of the service’s own: src/api/server.test.ts',
  },
  {
    ...{ law: 'succeeds', routes: /^octavia DELETE \/v2\.0\/octavia\/amphorae\/\{id\}$/ },
    reason: 'only what failed while it was made may go: src/api/amphorae.test.ts',
  },
  { law: 'is not found', routes: /\/quotas\/\{/, reason: 'every project has a quota' },
  { law: 'is not found', routes: /\/providers\/\{/, reason: 'a provider that there is not is a wrong value: 400' },
  { law: 'is not found', routes: /^neutron GET \/docs/, reason: 'not behind Neutron' },
  {
    ...{
      law: 'is not for all',
      routes: /GET \S*\/(flavors|availabilityzones)|\/(service-)?providers$|\/defaults$|\/agents$/,
    },
    reason: 'is for all who have a token',
  },
  {
    ...{ law: 'locks', routes: /POST \S*\/loadbalancers$|\/failover$/ },
    reason: 'there is nothing yet that could be locked, or an amphora is what changes',
  },
]
type Law = 'succeeds' | 'is not found' | 'is not for all' | 'locks'

const trees = /^(POST|PUT|DELETE) \/v2\.0\/lbaas\/(loadbalancers|listeners|pools|healthmonitors|l7policies)/

/** What a cell of a route must show, by law, and of which routes. */
const laws: Record<Law, { of: (route: string) => boolean; by: (cell: Cell) => boolean }> = {
  succeeds: { of: () => true, by: ({ status }) => status < 300 },
  'is not found': { of: route => route.includes('{'), by: ({ status, at }) => status === 404 && at !== undefined },
  'is not for all': { of: route => !open.includes(route), by: ({ status, as }) => status === 403 || as === 'stranger' },
  locks: { of: route => trees.test(route), by: ({ locks }) => locks !== undefined },
}

describe('by law', () => {
  const dialects = ['octavia', 'neutron'] as const
  const tables = dialects.map(dialect => ({
    dialect,
    cells: cellsOf(dialect).flatMap(calls),
    routes: documented(dialect),
  }))

  test.each(Object.entries(laws))('every route of both documents %s', (law, { of, by }) => {
    const lacking = tables.flatMap(({ dialect, cells, routes }) => {
      const shown = new Set(cells.filter(by).map(cell => cell.route))
      return routes.filter(route => of(route) && !shown.has(route)).map(route => `${dialect} ${route}`)
    })
    const excepted = exceptions.filter(exception => exception.law === law)
    const needless = excepted.filter(({ routes }) => !lacking.some(route => routes.test(route)))
    expect(lacking.filter(route => !excepted.some(({ routes }) => routes.test(route)))).toEqual([])
    expect(needless, 'exceptions that nothing needs').toEqual([])
  })

  test('no cell is of a route that is in no document', () => {
    const strange = tables.flatMap(({ cells, routes }) =>
      cells.map(({ route }) => route.replace(' /v2/', ' /v2.0/')).filter(route => !routes.includes(route)),
    )
    expect(strange).toEqual([])
  })
})

/** Every path × method of the dialect's document. */
function documented(dialect: Dialect): string[] {
  const file = path.join(import.meta.dirname, '../../../docs/tenants', `openapi-${dialect}.json`)
  const { paths } = JSON.parse(fs.readFileSync(file, 'utf8')) as { paths: Record<string, Record<string, unknown>> }
  return Object.entries(paths).flatMap(([url, operations]) =>
    Object.keys(operations)
      .filter(method => /^(get|post|put|delete|patch)$/.test(method))
      .map(method => `${method.toUpperCase()} ${url}`),
  )
}
