/** What each route does: summary, parameters, bodies, answers, and the rule that decides who may. */
import type { JsonSchema } from '../../lbaas/json-schema.ts'
import { keyOf, type Resource } from '../../lbaas/resource.ts'
import type { Listed } from '../../store/lists.ts'
import { tables } from '../../store/schema.ts'
import { filterNames } from '../list.ts'
import { rule_prefix } from '../policy/rules.ts'
import { ruleOf } from '../policy.ts'
import type { Speech } from '../speech.ts'
import { body, nameOf, ref, text } from './bodies.ts'

/** Method and path to the operation; paths as OpenAPI writes them, below the dialect's first prefix. */
export type Operations = Record<string, JsonSchema>

/** Five, or fewer, for a collection and its objects. */
export function collection(speech: Speech, resource: Resource, methods = 'LCSUD'): Operations {
  const { singular, plural, links = `${resource.plural}_links` } = resource
  const [path, name] = [pathOf(speech, resource), nameOf(resource)]
  const one = `${path}/{${keyOf(resource)}}`
  const answer = (description: string) => body(description, { [singular]: ref(name) })
  const request = (schema: string) => ({ ...body('', { [singular]: ref(schema) }), required: true })
  const is_in_tree = 'tags' in resource.fields
  const applied = is_in_tree ? 'Accepted, and being applied.' : 'Done.'
  const all: Record<string, [key: string, operation: JsonSchema]> = {
    L: [
      `GET ${path}`,
      operation(resource, 'list', 'get_all', {
        parameters: listParameters(speech, resource),
        200: {
          description: 'A page of what the filters leave.',
          content: {
            'application/json': {
              schema: {
                type: 'object',
                properties: { [plural]: { type: 'array', items: ref(name) }, [links]: links_schema },
                required: [plural],
              },
            },
          },
        },
      }),
    ],
    C: [
      `POST ${path}`,
      operation(resource, 'create', 'post', { requestBody: request(`${name}Create`), 201: answer(applied) }),
    ],
    S: [`GET ${one}`, operation(resource, 'show', 'get_one', { parameters: [fields], 200: answer('The object.') })],
    U: [
      `PUT ${one}`,
      operation(resource, 'update', 'put', { requestBody: request(`${name}Update`), 200: answer(applied) }),
    ],
    D: [
      `DELETE ${one}`,
      operation(resource, 'delete', 'delete', {
        ...(resource.name === 'load_balancer' ? { parameters: [cascade] } : {}),
        204: { description: is_in_tree ? 'Accepted: it is there until it is taken away.' : 'Gone.' },
      }),
    ],
  }
  const wanted = [...methods].map(method => all[method]!)
  return Object.fromEntries(wanted)
}

/** Where its collection is. */
export function pathOf({ prefixes: [prefix] }: Speech, { name, path, parent }: Resource): string {
  if (name === 'amphora') return `${prefix!.replace(/lbaas$/, 'octavia')}/${path}`
  if (!parent?.in_path) return `${prefix}/${path}`
  return `${prefix}/${tables[parent.of].path}/{${parent.field}}/${path}`
}

/** One operation, with every refusal that it may answer. `action` names the rule: of the resource, or whole. */
export function operation(
  resource: Resource | string,
  verb: string,
  action: string | null,
  { parameters, requestBody, ...responses }: Record<string, unknown>,
): JsonSchema {
  const tag = typeof resource === 'string' ? resource : resource.title
  const rule = typeof resource === 'string' ? action : action && ruleOf(resource, action)
  const refused = requestBody === undefined ? read_refusals : write_refusals
  const successes = Object.entries(responses) as [string, JsonSchema][]
  return {
    tags: [tag],
    summary: `${tag}: ${verb}`,
    operationId: `${verb} ${tag}`.replace(/[^A-Za-z0-9]+(.)/g, (_, letter: string) => letter.toUpperCase()),
    ...(rule === null ? {} : { description: `Rule: \`${rule_prefix}${rule}\`.` }),
    ...(parameters === undefined ? {} : { parameters }),
    ...(requestBody === undefined ? {} : { requestBody }),
    responses: Object.fromEntries([
      ...successes,
      ...refused.map(status => [status, { $ref: `#/components/responses/Refused${status}` }]),
    ]),
  }
}

const read_refusals = [400, 401, 403, 404, 409, 500, 503]
const write_refusals = [400, 401, 403, 404, 409, 413, 415, 500, 501, 503]

export const links_schema: JsonSchema = {
  type: 'array',
  items: text({ rel: { enum: ['next', 'previous'] }, href: { format: 'uri' } }),
  description: 'Where there is more.',
}

function listParameters(speech: Speech, resource: Resource): JsonSchema[] {
  const names = filterNames(speech, resource.name as Listed)
  const filters = {
    name: 'filters',
    in: 'query',
    style: 'form',
    explode: true,
    description: 'Only what has these values; of several values of one field, any.',
    schema: { type: 'object', properties: Object.fromEntries(names.map(name => [name, ref('Filter')])) },
  }
  return [filters, fields, ...paging, ...('tags' in resource.fields && speech.dialect === 'octavia' ? tags : [])]
}

function query(name: string, description: string, schema: JsonSchema = { type: 'string' }): JsonSchema {
  return { name, in: 'query', description, schema }
}

const fields = query('fields', 'Only these fields of each object.', { type: 'array', items: { type: 'string' } })
const cascade = query('cascade', 'Also delete all that is below it.', { type: 'boolean', default: false })
const paging = [
  query('limit', 'The most objects of the page.', { type: 'integer', minimum: 0 }),
  query('marker', 'The key of the object that the page begins after.'),
  query('page_reverse', 'The page ends before the marker instead.', { type: 'boolean', default: false }),
  query('sort', 'Fields to sort by, each with :asc or :desc: `name:desc,created_at`.'),
  query('sort_key', 'A field to sort by; repeatable.', { type: 'array', items: { type: 'string' } }),
  query('sort_dir', 'Its direction.', { type: 'array', items: { enum: ['asc', 'desc'] } }),
]
const tags = [
  query('tags', 'Only what has all of these tags, separated by commas.'),
  query('tags-any', 'Only what has one of these tags.'),
  query('not-tags', 'Only what does not have all of these tags.'),
  query('not-tags-any', 'Only what has none of these tags.'),
]
