/** POST /servers: checked as Nova checks it, bad references and all. */
import path from 'node:path'
import { type Image, maySee } from '../glance/glance.ts'
import type { Identity } from '../keystone/tokens.ts'
import { isAddress } from '../neutron/addresses.ts'
import type { Network, Port, SecurityGroup } from '../neutron/documents.ts'
import { Refusal } from '../service.ts'
import type { Document, Store } from '../store.ts'
import { newServer, type Server, type ServerGroup } from './documents.ts'
import { flavors } from './flavors.ts'

export type BuildBody = {
  server?: {
    name?: unknown
    imageRef?: unknown
    flavorRef?: unknown
    networks?: ({ uuid?: string; port?: string; fixed_ip?: string }[] | 'auto' | 'none') | undefined
    security_groups?: { name: string }[]
    key_name?: string
    availability_zone?: string
    personality?: { path: string; contents: string }[]
    user_data?: string
    config_drive?: boolean | string
    metadata?: Record<string, string>
    min_count?: number
    max_count?: number
  }
  'os:scheduler_hints'?: { group?: string }
}

const largest_file_bytes = 10_240
const most_files = 5

/** The servers that the request asks for, complete but for their host. Refuses with Nova's own words. */
export function serversOf(store: Store, identity: Identity, body: BuildBody, limits: { instances: number }): Server[] {
  const wishes = checkedForm(body)
  const image = store.get<Image>('image', String(wishes.imageRef))
  if (!image || !maySee(image, identity)) throw bad('Can not find requested image')
  if (image.status !== 'active') throw bad(`Image ${image.id} is not active.`)
  const flavor = flavors.find(f => f.id === String(wishes.flavorRef))
  if (!flavor) throw bad(`Flavor ${wishes.flavorRef} could not be found.`)
  const wanted_networks = networksOf(store, identity, wishes.networks)
  const group_id = body['os:scheduler_hints']?.group ?? null
  const group = group_id === null ? undefined : store.get<ServerGroup>('server_group', group_id)
  if (group_id !== null && !(group && (identity.admin || group.project_id === identity.project_id)))
    throw bad(`Instance group ${group_id} could not be found.`)
  const keypair = wishes.key_name
    ? store.get<Document & { public_key: string }>('keypair', `${identity.user_id}/${wishes.key_name}`)
    : undefined
  if (wishes.key_name && !keypair) throw bad('Invalid key_name provided.')
  const zone = wishes.availability_zone ?? null
  if (zone !== null && zone !== 'nova') throw bad('The requested availability zone is not available')
  const security_groups = (wishes.security_groups ?? []).map(({ name }) => groupOf(store, identity, name))
  const count = wishes.max_count ?? wishes.min_count ?? 1
  const numbers = store.all<Server>('server').map(server => server.number)
  const number = Math.max(0, ...numbers) + 1
  const used = store.all<Server>('server').filter(server => server.project_id === identity.project_id).length
  if (limits.instances >= 0 && used + count > limits.instances)
    throw new Refusal(
      403,
      'forbidden',
      `Quota exceeded for instances: Requested ${count}, but already used ${used} of ${limits.instances} instances`,
    )
  return Array.from({ length: count }, (_, index) =>
    newServer({
      name: count === 1 ? (wishes.name as string) : `${wishes.name}-${index + 1}`,
      project_id: identity.project_id!,
      user_id: identity.user_id,
      image_id: image.id,
      flavor_id: flavor.id,
      group_id,
      key_name: wishes.key_name ?? null,
      public_key: keypair?.public_key ?? null,
      security_groups,
      user_data: wishes.user_data ?? null,
      personality: personalityOf(wishes.personality ?? []),
      config_drive: String(wishes.config_drive).toLowerCase() === 'true',
      zone,
      metadata: wishes.metadata ?? {},
      number: number + index,
      wanted_networks,
    }),
  )
}

/** What is not of its form is refused before anything looks at it. */
function checkedForm(body: BuildBody): NonNullable<BuildBody['server']> {
  const wishes: unknown = body.server
  if (typeof wishes !== 'object' || wishes === null)
    throw bad('Invalid input for field/attribute server. It is an object.')
  const { name } = wishes as { name?: unknown }
  if (name === undefined)
    throw bad(
      `Invalid input for field/attribute server. Value: ${JSON.stringify(wishes)}. 'name' is a required property`,
    )
  for (const [field, fits] of Object.entries(forms)) {
    const value = (wishes as Record<string, unknown>)[field]
    if (value !== undefined && value !== null && !fits(value))
      throw bad(`Invalid input for field/attribute ${field}. Value: ${JSON.stringify(value).slice(0, 200)}.`)
  }
  const hints: unknown = body['os:scheduler_hints']
  const group = (hints as { group?: unknown } | null | undefined)?.group
  if (group !== undefined && typeof group !== 'string') throw bad('Invalid input for field/attribute group.')
  const given = Object.entries(wishes).filter(([, value]) => value !== null)
  return Object.fromEntries(given) as NonNullable<BuildBody['server']>
}

const isText = (max: number) => (value: unknown) => typeof value === 'string' && value.length <= max
const isCount = (value: unknown) => Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 100
const objects = (value: unknown, fits: (one: Record<string, unknown>) => boolean) =>
  Array.isArray(value) &&
  value.length <= 100 &&
  value.every(one => typeof one === 'object' && one !== null && fits(one))
const optionalText = (value: unknown) => value === undefined || value === null || isText(255)(value)

const forms: Record<string, (value: unknown) => boolean> = {
  name: value => isText(255)(value) && String(value).trim() !== '',
  networks: value =>
    value === 'auto' ||
    value === 'none' ||
    objects(value, one => optionalText(one.uuid) && optionalText(one.port) && optionalText(one.fixed_ip)),
  security_groups: value => objects(value, one => isText(255)(one.name)),
  key_name: isText(255),
  availability_zone: isText(255),
  personality: value => objects(value, one => isText(1024)(one.path) && typeof one.contents === 'string'),
  user_data: isText(65_535),
  config_drive: value => typeof value === 'boolean' || isText(10)(value),
  metadata: value =>
    typeof value === 'object' && !Array.isArray(value) && Object.values(value as object).every(isText(255)),
  min_count: isCount,
  max_count: isCount,
}

function networksOf(
  store: Store,
  identity: Identity,
  wanted: NonNullable<BuildBody['server']>['networks'],
): Server['wanted_networks'] {
  if (wanted === 'none') return []
  const own = (network: Network) => network.project_id === identity.project_id || network.shared
  if (wanted === undefined || wanted === 'auto') {
    const networks = store.all<Network>('network').filter(own)
    if (networks.length > 1)
      throw new Refusal(
        409,
        'conflictingRequest',
        'Multiple possible networks found, use a Network ID to be more specific.',
      )
    return networks.map(network => ({ uuid: network.id }))
  }
  return wanted.map(({ uuid, port: port_id, fixed_ip }) => {
    if (port_id) {
      const port = store.get<Port>('port', port_id)
      if (!port || (!identity.admin && port.project_id !== identity.project_id))
        throw bad(`Port id ${port_id} could not be found.`)
      if (port.device_id !== '') throw new Refusal(409, 'conflictingRequest', `Port ${port_id} is still in use.`)
      return { port: port_id }
    }
    const network = store.get<Network>('network', String(uuid))
    if (!network || (!identity.admin && !own(network))) throw bad(`Network ${uuid} could not be found.`)
    if (fixed_ip !== undefined && !isAddress(fixed_ip)) throw bad(`Fixed IP ${fixed_ip} is not a valid ip address.`)
    return { uuid: network.id, ...(fixed_ip !== undefined && { fixed_ip }) }
  })
}

function groupOf(store: Store, identity: Identity, name: string): string {
  const groups = store
    .all<SecurityGroup>('group')
    .filter(group => identity.admin || group.project_id === identity.project_id)
  const found =
    groups.find(group => group.id === name) ??
    groups.find(group => group.name === name && group.project_id === identity.project_id)
  if (!found) throw bad(`Unable to find security_group with name or id '${name}'`)
  return found.id
}

function personalityOf(files: { path: string; contents: string }[]): Server['personality'] {
  if (files.length > most_files) throw new Refusal(403, 'forbidden', 'Personality file limit exceeded')
  for (const file of files) {
    if (Buffer.from(file.contents, 'base64').length > largest_file_bytes)
      throw new Refusal(403, 'forbidden', `Personality file content exceeds maximum ${largest_file_bytes}`)
    if (!/^\/(etc|root|var)\/./.test(path.posix.normalize(file.path)))
      throw bad(`Files can only be put below /etc, /root or /var: ${file.path.slice(0, 255)}`)
    if (file.path.length > 255) throw new Refusal(403, 'forbidden', 'Personality file path exceeds maximum 255')
  }
  return files
}

function bad(message: string): Refusal {
  return new Refusal(400, 'badRequest', message)
}
