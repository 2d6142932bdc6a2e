/** Glance: which image do amphorae boot from? */
import type { OpenStack } from './openstack.ts'

export type Image = {
  id: string
  name: string
  status: string
  tags: string[]
  created_at: string
  owner: string | null
}

/** Glance's calls that load balancing needs. */
export class Glance {
  readonly #os: OpenStack
  readonly #signal: AbortSignal | undefined

  constructor(os: OpenStack, signal?: AbortSignal) {
    this.#os = os
    this.#signal = signal
  }

  /** The newest active image that carries the tag, of that owner where one is given; null when there is none. */
  async imageTagged(tag: string, owner: string | null): Promise<Image | null> {
    const query: Record<string, string> = { status: 'active', tag, sort: 'created_at:desc', limit: '2' }
    if (owner) query.owner = owner
    const { body } = await this.#os.request('image', 'GET', '/images', { query, signal: this.#signal })
    return (body as { images: Image[] }).images[0] ?? null
  }
}

/** Uploads an image: makes its record, then puts its bytes. Answers with its id. */
export async function uploadImage(
  os: OpenStack,
  record: { name: string; tags: string[]; [property: string]: unknown },
  bytes: Uint8Array,
): Promise<string> {
  const made = await os.request('image', 'POST', '/images', {
    body: { disk_format: 'raw', container_format: 'bare', visibility: 'private', ...record },
  })
  const { id } = made.body as Image
  await os.request('image', 'PUT', `/images/${id}/file`, {
    body: bytes,
    headers: { 'content-type': 'application/octet-stream' },
  })
  return id
}
