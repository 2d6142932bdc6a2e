/** What becomes of an image's bytes: kept, and unpacked where they are a tar archive. */
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { extract } from 'tar'
import { Refusal } from '../service.ts'

/** Keeps the bytes, and unpacks them where they are a tar archive. All of it lies in a draft until it is whole. */
export async function keepFile(images_dir: string, id: string, bytes: Readable) {
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
    if (size > largest_bytes)
      bytes.destroy(new Refusal(413, 'tooLarge', 'Denying attempt to upload image larger than 4 GiB.'))
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

/** An image that takes more room unpacked is refused. */
const largest_bytes = 4 * 1024 ** 3
