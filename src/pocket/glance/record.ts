/** What a request may say of an image, and who may say it. */
import type { Identity } from '../keystone/tokens.ts'
import { Refusal } from '../service.ts'

/** What a request may say of an image. What others would believe — that it is public, that it is somebody else's — only
 *  an administrator may say; what the cloud itself finds out nobody may. An id becomes the name of a folder. */
export function checkedRecord(identity: Identity, wish: unknown): Record<string, unknown> {
  if (typeof wish !== 'object' || wish === null || Array.isArray(wish))
    throw new Refusal(400, 'badRequest', 'An image is described by an object.')
  for (const [field, value] of Object.entries(wish)) {
    const wrong = () => new Refusal(400, 'badRequest', `Provided object does not match schema 'image': ${field}`)
    if (
      field === 'id'
        ? !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(String(value))
        : !/^[\w.:-]{1,255}$/.test(field)
    )
      throw wrong()
    if (field !== 'id' && field !== 'owner' && readOnly.has(field))
      throw new Refusal(403, 'forbidden', `Attribute '${field}' is read-only.`)
    if (field === 'owner' && value !== identity.project_id && !identity.admin)
      throw new Refusal(403, 'forbidden', 'You are not permitted to create images owned by others.')
    if (field === 'visibility' && !['public', 'private', 'shared', 'community'].includes(String(value))) throw wrong()
    if (field === 'visibility' && value === 'public' && !identity.admin)
      throw new Refusal(403, 'forbidden', 'You are not authorized to complete publicize_image action.')
    const check = described.get(field) ?? (field === 'id' || field === 'owner' ? isText : isShortText)
    if (!check(value)) throw wrong()
  }
  return wish as Record<string, unknown>
}

export function operationsIn(body: unknown): { op: string; field: string; value: unknown }[] {
  if (!Array.isArray(body))
    throw new Refusal(400, 'badRequest', 'Request body must be a JSON array of operation objects.')
  return body.map((one: { op?: unknown; path?: unknown; value?: unknown } | null) => {
    if (!['add', 'replace', 'remove'].includes(String(one?.op)) || typeof one?.path !== 'string')
      throw new Refusal(400, 'badRequest', 'Operation objects must contain one of add, replace, remove, and a path.')
    const field = one.path.replace(/^\//, '').replace(/~1/g, '/').replace(/~0/g, '~')
    return { op: String(one.op), field, value: one.value }
  })
}

const isText = (value: unknown) => typeof value === 'string'
const isShortText = (value: unknown) => typeof value === 'string' && value.length <= 65_535
const isTextOrNull = (value: unknown) => value === null || (typeof value === 'string' && value.length <= 255)
const isTruth = (value: unknown) => typeof value === 'boolean'
const isSize = (value: unknown) =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 2_147_483_647

/** The fields that every image has; all others are the owner's own, texts all of them. */
export const described = new Map<string, (value: unknown) => boolean>([
  ['name', isTextOrNull],
  ['disk_format', isTextOrNull],
  ['container_format', isTextOrNull],
  ['visibility', isText],
  ['protected', isTruth],
  ['os_hidden', isTruth],
  ['min_ram', isSize],
  ['min_disk', isSize],
  ['tags', value => Array.isArray(value) && value.length <= 128 && value.every(isTextOrNull) && !value.includes(null)],
])

export const readOnly = new Set([
  'id',
  'status',
  'size',
  'virtual_size',
  'checksum',
  'os_hash_algo',
  'os_hash_value',
  'stores',
  'pocket_boots_as',
  'created_at',
  'updated_at',
  'owner',
  'self',
  'file',
  'schema',
])
