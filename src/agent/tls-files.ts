/** The certificates, keys and lists that a haproxy reads: files of names that controllers choose. A folder for each unit. */
import fs from 'node:fs/promises'
import path from 'node:path'
import { type Answer, etagOf, md5Of, Refusal } from './answer.ts'
import { readIfThere, writeWhole } from './files.ts'

export class TlsFiles {
  readonly #folder: string

  constructor(base_path: string) {
    this.#folder = path.join(base_path, 'certs')
  }

  /** Readable by the owner only: haproxy reads it before it gives up its rights. */
  async put(listener_id: string, name: string, body: Buffer): Promise<Answer> {
    await fs.mkdir(path.join(this.#folder, listener_id), { recursive: true, mode: 0o700 })
    await writeWhole(this.#file(listener_id, name), body, 0o600)
    return { status: 200, body: { message: 'OK' }, headers: { ETag: etagOf(body) } }
  }

  async digest(listener_id: string, name: string): Promise<Answer> {
    const file = this.#file(listener_id, name)
    const text = await readIfThere(file)
    if (text === null) throw notFound(name)
    // who asks is about to name it
    const now = new Date()
    await fs.utimes(file, now, now)
    const md5sum = md5Of(text)
    return { status: 200, body: { md5sum }, headers: { ETag: `"${md5sum}"` } }
  }

  async remove(listener_id: string, name: string): Promise<Answer> {
    const file = this.#file(listener_id, name)
    if ((await readIfThere(file)) === null) throw notFound(name)
    await fs.rm(file, { force: true })
    return { status: 200, body: { message: 'OK' } }
  }

  /** Keys that no configuration names any more are not kept. What came, or was asked for, after the last configuration is
   *  for the next one; `uploaded` is the last one's file. */
  async prune(listener_id: string, configurations: readonly string[], uploaded: string): Promise<void> {
    const folder = path.join(this.#folder, listener_id)
    const names = await fs.readdir(folder).catch(() => [])
    const last_ms = (await fs.stat(uploaded)).mtimeMs
    for (const name of names.filter(name => !configurations.some(text => text.includes(name)))) {
      const file = path.join(folder, name)
      const then_ms = await fs.stat(file).then(
        ({ mtimeMs }) => mtimeMs,
        () => last_ms, // it has gone, or got its name
      )
      if (then_ms < last_ms) await fs.rm(file, { force: true })
    }
  }

  #file(listener_id: string, name: string): string {
    if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,127}\.pem$/.test(name))
      throw new Refusal(400, { message: 'Filename has wrong format' })
    return path.join(this.#folder, listener_id, name)
  }
}

function notFound(name: string): Refusal {
  return new Refusal(404, {
    message: 'Certificate Not Found',
    details: `No certificate with filename: ${name.slice(0, 200)}`,
  })
}
