/** Files that are whole or not there, also after a power cut. */
import fs from 'node:fs/promises'
import path from 'node:path'

/** Writes beside the file, forces it to disk and renames it into place, where it is durable too. */
export async function writeWhole(file: string, contents: string | Uint8Array, mode = 0o600): Promise<void> {
  await fs.mkdir(path.dirname(file), { recursive: true })
  const beside = `${file}.writing`
  const opened = await fs.open(beside, 'w', mode)
  try {
    await opened.chmod(mode)
    await opened.writeFile(contents)
    await opened.sync()
  } finally {
    await opened.close()
  }
  await fs.rename(beside, file)
  const folder = await fs.open(path.dirname(file))
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** The text, or null when there is no such file. */
export async function readIfThere(file: string): Promise<string | null> {
  try {
    return await fs.readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
