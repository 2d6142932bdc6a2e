/** Glance v2: images. What is uploaded is a tar archive, laid out as the files that a server of this image has besides the
 *  machine's own; anything else is kept, and boots as the machine's own root. */
import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Identity } from '../keystone/tokens.ts'
import { htmlPage, identityOf, Refusal, type SharedOptions, service, statusTitles, timestamp } from '../service.ts'
import { type Document, drop, keep, type Store } from '../store.ts'
import { checkedRecord, described, operationsIn, readOnly } from './record.ts'
import { imageSchema } from './schema.ts'
import { keepFile } from './upload.ts'

export type Image = Document & {
  name: string | null
  status: string
  owner: string
  visibility: string
  tags: string[]
  created_at: string
}

export function glance(store: Store, images_dir: string, url: string, shared: SharedOptions): FastifyInstance {
  const { tokens } = shared
  const app = service({
    ...shared,
    name: 'image',
    not_found: new Refusal(404, 'notFound', 'The resource could not be found.'),
    request_id_headers: ['x-openstack-request-id'],
    malformed: new Refusal(400, 'badRequest', 'Malformed JSON in request body.'),
    form: refusal => ({
      type: 'text/html; charset=UTF-8',
      body: htmlPage(
        `${refusal.status} ${statusTitles[refusal.status]}`,
        refusal.status === 401 ? unauthorizedText : refusal.message,
      ),
    }),
  })
  const versions = [
    'v2.15',
    'v2.13',
    'v2.12',
    'v2.11',
    'v2.10',
    'v2.9',
    'v2.8',
    'v2.7',
    'v2.6',
    'v2.5',
    'v2.4',
    'v2.3',
    'v2.2',
    'v2.1',
    'v2.0',
  ].map((id, index) => ({
    id,
    status: index === 0 ? 'CURRENT' : 'SUPPORTED',
    links: [{ rel: 'self', href: `${url}/v2/` }],
  }))
  app.get('/', (_request, reply) => reply.status(300).send({ versions }))
  app.get('/versions', () => ({ versions }))
  app.get('/v2/schemas/image', () => imageSchema)
  app.get('/v2/schemas/images', () => ({
    name: 'images',
    properties: {
      images: { type: 'array', items: imageSchema },
      first: { type: 'string' },
      next: { type: 'string' },
      schema: { type: 'string' },
    },
    links: [
      { rel: 'first', href: '{first}' },
      { rel: 'next', href: '{next}' },
      { rel: 'describedby', href: '{schema}' },
    ],
  }))

  app.get('/v2/images', request => {
    const identity = identityOf(request, tokens)
    const query = request.query as Record<string, string>
    const found = listed(
      store.all<Image>('image').filter(image => maySee(image, identity)),
      query,
    )
    if (query.limit !== undefined && !/^\d{1,6}$/.test(query.limit))
      throw new Refusal(400, 'badRequest', 'limit param must be an integer')
    const limit = query.limit === undefined ? 25 : Number(query.limit)
    const start = query.marker ? found.findIndex(image => image.id === query.marker) + 1 : 0
    const page = found.slice(start, start + limit)
    const search = new URLSearchParams(query)
    const next = new URLSearchParams({ ...query, marker: page.at(-1)?.id ?? '' })
    return {
      images: page.map(shown),
      first: `/v2/images${search.size > 0 ? `?${search}` : ''}`,
      ...(start + limit < found.length && { next: `/v2/images?${next}` }),
      schema: '/v2/schemas/images',
    }
  })
  const own = (request: FastifyRequest): Image => {
    const identity = identityOf(request, tokens)
    const { id } = request.params as { id: string }
    const image = store.get<Image>('image', id)
    if (!image || !maySee(image, identity)) throw new Refusal(404, 'notFound', `No image found with ID ${id}`)
    return image
  }
  const changeable = (request: FastifyRequest): Image => {
    const image = own(request)
    const identity = identityOf(request, tokens)
    if (image.owner !== identity.project_id && !identity.admin)
      throw new Refusal(403, 'forbidden', 'You are not permitted to modify this image.')
    return image
  }
  app.post('/v2/images', async (request, reply) => {
    const identity = identityOf(request, tokens)
    const image = newImage(identity.project_id!, checkedRecord(identity, request.body ?? {}))
    if (store.get('image', image.id)) throw new Refusal(409, 'conflict', `Image ID ${image.id} already exists!`)
    await store.commit(keep('image', image))
    return reply
      .status(201)
      .headers({ location: `${url}/v2/images/${image.id}`, 'openstack-image-store-ids': 'disk' })
      .send(shown(image))
  })
  app.get('/v2/images/:id', request => shown(own(request)))
  app.patch('/v2/images/:id', async request => {
    const image = changeable(request)
    const identity = identityOf(request, tokens)
    const fields: Record<string, unknown> = { ...image }
    for (const { op, field, value } of operationsIn(request.body)) {
      if (readOnly.has(field)) throw new Refusal(403, 'forbidden', `Attribute '${field}' is read-only.`)
      if (op === 'remove') {
        if (described.has(field)) throw new Refusal(403, 'forbidden', `Property ${field} may not be removed.`)
        delete fields[field]
      } else Object.assign(fields, checkedRecord(identity, { [field]: value }))
    }
    const changed = { ...fields, updated_at: timestamp() } as unknown as Image
    await store.commit(keep('image', changed))
    return shown(changed)
  })
  app.put('/v2/images/:id/file', async (request, reply) => {
    const image = changeable(request)
    if (image.status !== 'queued')
      throw new Refusal(409, 'conflict', `Image status transition from ${image.status} to saving is not allowed`)
    if (!(request.body instanceof Readable))
      throw new Refusal(415, 'unsupported', 'The contents of an image are application/octet-stream.')
    // Two uploads to one image cannot both begin.
    await store.commit(keep('image', { ...image, status: 'saving', updated_at: timestamp() }))
    try {
      const kept = await keepFile(images_dir, image.id, request.body)
      const now = store.get<Image>('image', image.id)
      if (now) await store.commit(keep('image', { ...now, ...kept, status: 'active', updated_at: timestamp() }))
      else fs.rmSync(path.join(images_dir, image.id), { recursive: true, force: true })
    } catch (error) {
      const now = store.get<Image>('image', image.id)
      if (now) await store.commit(keep('image', { ...now, status: 'queued', updated_at: timestamp() }))
      throw error
    }
    return reply.status(204).type('text/html; charset=UTF-8').send()
  })
  app.get('/v2/images/:id/file', (request, reply) => {
    const image = own(request)
    const file = path.join(images_dir, image.id, 'file')
    if (image.status !== 'active' || !fs.existsSync(file)) return reply.status(204).send()
    return reply.type('application/octet-stream').send(fs.createReadStream(file))
  })
  app.put('/v2/images/:id/tags/:tag', async (request, reply) => {
    const image = changeable(request)
    const { tag } = request.params as { tag: string }
    if (tag.length > 255) throw new Refusal(400, 'badRequest', 'Invalid image tag')
    await store.commit(keep('image', { ...image, tags: [...new Set([...image.tags, tag])], updated_at: timestamp() }))
    return reply.status(204).type('text/html; charset=UTF-8').send()
  })
  app.delete('/v2/images/:id/tags/:tag', async (request, reply) => {
    const image = changeable(request)
    const { tag } = request.params as { tag: string }
    if (!image.tags.includes(tag)) throw new Refusal(404, 'notFound', `Image ${image.id} does not have tag ${tag}`)
    await store.commit(keep('image', { ...image, tags: image.tags.filter(t => t !== tag), updated_at: timestamp() }))
    return reply.status(204).send()
  })
  app.delete('/v2/images/:id', async (request, reply) => {
    const image = changeable(request)
    if (image.protected) throw new Refusal(403, 'forbidden', `Image ${image.id} is protected and cannot be deleted.`)
    await store.commit(drop('image', image.id))
    // servers that run from it show its files until they end
    fs.rmSync(path.join(images_dir, image.id), { recursive: true, force: true })
    return reply.status(204).type('text/html; charset=UTF-8').send()
  })
  return app
}

export function newImage(owner: string, given: Record<string, unknown>): Image {
  const now = timestamp()
  return {
    name: null,
    disk_format: null,
    container_format: null,
    visibility: 'shared',
    size: null,
    virtual_size: null,
    status: 'queued',
    checksum: null,
    protected: false,
    min_ram: 0,
    min_disk: 0,
    os_hidden: false,
    os_hash_algo: null,
    os_hash_value: null,
    tags: [],
    ...given,
    id: typeof given.id === 'string' ? given.id : randomUUID(),
    owner: typeof given.owner === 'string' ? given.owner : owner,
    created_at: now,
    updated_at: now,
  } as unknown as Image
}

/** Whether the image is there for him. */
export function maySee(image: Image, identity: Identity): boolean {
  return identity.admin || image.owner === identity.project_id || image.visibility === 'public'
}

/** The folder of the image's unpacked files; null where it has none. */
export function treeOf(images_dir: string, image_id: string): string | null {
  const tree = path.join(images_dir, image_id, 'tree')
  return fs.existsSync(tree) ? tree : null
}

const unauthorizedText =
  'This server could not verify that you are authorized to access the document you requested. Either you supplied the wrong credentials (e.g., bad password), or your browser does not understand how to supply the credentials required.'

function shown(image: Image) {
  const { id, ...rest } = image
  const self = `/v2/images/${id}`
  const stores = image.status === 'active' ? { stores: 'disk' } : {}
  return { ...rest, id, self, file: `${self}/file`, schema: '/v2/schemas/image', ...stores }
}

function listed(images: Image[], query: Record<string, string>): Image[] {
  const filters = Object.entries(query).filter(
    ([key]) => !['limit', 'marker', 'sort', 'sort_key', 'sort_dir', 'tag', 'member_status'].includes(key),
  )
  const found = images
    .filter(image => [query.tag ?? []].flat().every(tag => image.tags.includes(tag)))
    .filter(image => query.os_hidden !== undefined || image.os_hidden !== true)
    .filter(image =>
      filters.every(([key, value]) =>
        value.startsWith('in:')
          ? value.slice(3).split(',').includes(String(image[key]))
          : typeof image[key] === 'boolean'
            ? String(image[key]) === value.toLowerCase()
            : String(image[key]) === value,
      ),
    )
  const [key = 'created_at', direction = 'desc'] = (
    query.sort ?? `${query.sort_key ?? 'created_at'}:${query.sort_dir ?? 'desc'}`
  )
    .split(',')[0]!
    .split(':')
  const order = direction === 'asc' ? 1 : -1
  return found
    .map((image, index) => ({ image, index }))
    .sort((a, b) => order * (String(a.image[key]).localeCompare(String(b.image[key])) || a.index - b.index))
    .map(({ image }) => image)
}
