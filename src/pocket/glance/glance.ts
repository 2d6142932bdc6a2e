/** Glance v2: images. What is uploaded is a tar archive, laid out as the files that a server of this image has besides the
 *  machine's own; anything else is kept, and boots as the machine's own root. */
import { createHash, randomUUID } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { extract } from 'tar'
import type { Identity } from '../keystone/tokens.ts'
import { htmlPage, identityOf, Refusal, type SharedOptions, service, statusTitles, timestamp } from '../service.ts'
import { type Document, drop, keep, type Store } from '../store.ts'
import { imageSchema } from './schema.ts'

export type Image = Document & {
  name: string | null
  status: string
  owner: string
  visibility: string
  tags: string[]
  created_at: string
}

/** An image that takes more room unpacked is refused. */
const largest_bytes = 4 * 2 ** 30

export function glance(store: Store, images_dir: string, url: string, shared: SharedOptions): FastifyInstance {
  const { tokens } = shared
  const app = service({
    ...shared,
    name: 'image',
    not_found: new Refusal(404, 'notFound', 'The resource could not be found.'),
    request_id_header: 'x-openstack-request-id',
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
      store.all<Image>('image').filter(image => visible(image, identity)),
      query,
    )
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
    if (!image || !visible(image, identity)) throw new Refusal(404, 'notFound', `No image found with ID ${id}`)
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
    const image = newImage(identity.project_id!, (request.body ?? {}) as Record<string, unknown>)
    await store.commit(keep('image', image))
    return reply
      .status(201)
      .headers({ location: `${url}/v2/images/${image.id}`, 'openstack-image-store-ids': 'disk' })
      .send(shown(image))
  })
  app.get('/v2/images/:id', request => shown(own(request)))
  app.patch('/v2/images/:id', async request => {
    const changed = structuredClone(changeable(request))
    for (const { op, path: pointer, value } of request.body as { op: string; path: string; value?: unknown }[]) {
      const field = pointer.replace(/^\//, '').replace(/~1/g, '/').replace(/~0/g, '~')
      if (readOnly.has(field)) throw new Refusal(403, 'forbidden', `Attribute '${field}' is read-only.`)
      if (op === 'remove') delete (changed as Record<string, unknown>)[field]
      else (changed as Record<string, unknown>)[field] = value
    }
    changed.updated_at = timestamp()
    await store.commit(keep('image', changed))
    return shown(changed)
  })
  app.put('/v2/images/:id/file', async (request, reply) => {
    const image = changeable(request)
    if (image.status !== 'queued')
      throw new Refusal(409, 'conflict', `Image status transition from ${image.status} to saving is not allowed`)
    const kept = await keepFile(images_dir, image.id, request.body as Readable)
    await store.commit(keep('image', { ...image, ...kept, status: 'active', updated_at: timestamp() }))
    return reply.status(204).type('text/html; charset=UTF-8').send()
  })
  app.get('/v2/images/:id/file', (request, reply) => {
    const image = own(request)
    if (image.status !== 'active') return reply.status(204).send()
    return reply.type('application/octet-stream').send(fs.createReadStream(path.join(images_dir, image.id, 'file')))
  })
  app.put('/v2/images/:id/tags/:tag', async (request, reply) => {
    const image = changeable(request)
    const { tag } = request.params as { tag: string }
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

/** The folder of the image's unpacked files; null where it has none. */
export function treeOf(images_dir: string, image_id: string): string | null {
  const tree = path.join(images_dir, image_id, 'tree')
  return fs.existsSync(tree) ? tree : null
}

const readOnly = new Set([
  'id',
  'status',
  'size',
  'checksum',
  'created_at',
  'updated_at',
  'owner',
  'self',
  'file',
  'schema',
])
const unauthorizedText =
  'This server could not verify that you are authorized to access the document you requested. Either you supplied the wrong credentials (e.g., bad password), or your browser does not understand how to supply the credentials required.'

function visible(image: Image, identity: Identity): boolean {
  return identity.admin || image.owner === identity.project_id || image.visibility === 'public'
}

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
    .filter(image => query.tag === undefined || image.tags.includes(query.tag))
    .filter(image =>
      filters.every(([key, value]) =>
        value.startsWith('in:') ? value.slice(3).split(',').includes(String(image[key])) : String(image[key]) === value,
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

/** Keeps the bytes, and unpacks them where they are a tar archive. All of it lies in a draft until it is whole. */
async function keepFile(images_dir: string, id: string, bytes: Readable) {
  const draft = path.join(images_dir, `${id}.new`)
  fs.rmSync(draft, { recursive: true, force: true })
  fs.mkdirSync(path.join(draft, 'tree'), { recursive: true })
  const md5 = createHash('md5')
  const sha512 = createHash('sha512')
  let size = 0
  bytes.on('data', (chunk: Buffer) => {
    md5.update(chunk)
    sha512.update(chunk)
    size += chunk.length
  })
  await pipeline(bytes, fs.createWriteStream(path.join(draft, 'file')))
  const archive = await unpack(path.join(draft, 'file'), path.join(draft, 'tree'))
  if (!archive) fs.rmSync(path.join(draft, 'tree'), { recursive: true })
  fs.rmSync(path.join(images_dir, id), { recursive: true, force: true })
  fs.renameSync(draft, path.join(images_dir, id))
  return {
    size,
    virtual_size: size,
    checksum: md5.digest('hex'),
    os_hash_algo: 'sha512',
    os_hash_value: sha512.digest('hex'),
    pocket_boots_as: archive ? "the archive's files on the machine's own root" : "the machine's own root",
  }
}

/** Files and folders only: a link or a device in an image could lead out of it. */
async function unpack(file: string, tree: string): Promise<boolean> {
  let room_bytes = largest_bytes
  let entries = 0
  try {
    await extract({
      file,
      cwd: tree,
      strict: true,
      preserveOwner: false,
      filter: (name, entry) => {
        if (!('type' in entry) || !['File', 'OldFile', 'ContiguousFile', 'Directory'].includes(entry.type)) return false
        room_bytes -= entry.size ?? 0
        entries++
        return room_bytes > 0 && !name.split('/').includes('..')
      },
    })
  } catch (error) {
    if (/^(TAR_|Z_)/.test((error as { code?: string }).code ?? '')) return false // it is something else
    throw error
  }
  return entries > 0 && room_bytes > 0
}
