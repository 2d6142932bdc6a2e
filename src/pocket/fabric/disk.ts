/** A server's disk: its /etc, /var and /root in the state folder. Written from outside only before the first boot. */
import fs from 'node:fs'
import path from 'node:path'
import { FabricError, type FabricServer } from './fabric.ts'

/** Makes the disk unless it is there: what every machine has, then the image's files, then the server's own. It appears
 *  whole or not at all. Never touches a disk that has booted: a server could have put links where we would write. */
export function ensureDisk(servers_dir: string, server: FabricServer): string {
  const disk = diskOf(servers_dir, server.id)
  if (fs.existsSync(disk)) return disk
  const draft = `${disk}.new`
  fs.rmSync(draft, { recursive: true, force: true })
  for (const folder of ['etc/ssl/certs', 'etc/alternatives', 'var/lib/cloud', 'var/log', 'var/tmp', 'root'])
    fs.mkdirSync(path.join(draft, folder), { recursive: true })
  fs.chmodSync(path.join(draft, 'root'), 0o700)
  fs.symlinkSync('/run', path.join(draft, 'var/run'))
  writeEtc(path.join(draft, 'etc'), server.name)
  if (server.image_dir !== null)
    for (const folder of ['etc', 'root', 'var']) {
      const from = path.join(server.image_dir, folder)
      if (fs.existsSync(from)) fs.cpSync(from, path.join(draft, folder), { recursive: true, verbatimSymlinks: true })
    }
  for (const file of server.files) writeFile(draft, file.path, file.contents, file.mode ?? 0o600)
  if (startsWithShebang(server.user_data)) writeFile(draft, '/var/lib/cloud/user-data', server.user_data!, 0o700)
  for (const file of server.config_drive) {
    const target = path.join(configDriveOf(disk), file.path)
    fs.mkdirSync(path.dirname(target), { recursive: true, mode: 0o700 })
    fs.writeFileSync(target, file.contents, { mode: 0o600 })
  }
  fs.renameSync(draft, disk)
  return disk
}

/** Where the config drive of the server with that disk lies. */
export function configDriveOf(disk: string): string {
  return path.join(path.dirname(disk), 'config-drive')
}

export function diskOf(servers_dir: string, server_id: string): string {
  if (!/^[0-9a-f-]{36}$/.test(server_id)) throw new FabricError(`${server_id} is not a server's id`)
  return path.join(servers_dir, server_id, 'disk')
}

function startsWithShebang(bytes: Uint8Array | null): boolean {
  return bytes !== null && Buffer.from(bytes.subarray(0, 2)).toString('latin1') === '#!'
}

/** `file` must lie below /etc, /var or /root, and no folder of its path may be a link of the image's. */
function writeFile(draft: string, file: string, contents: Uint8Array, mode: number): void {
  const inside = path.posix.normalize(file)
  if (!/^\/(etc|var|root)\//.test(inside))
    throw new FabricError(`a file can only be put below /etc, /var or /root: ${file}`)
  const target = path.join(draft, inside)
  fs.mkdirSync(path.dirname(target), { recursive: true })
  const real = fs.realpathSync(path.dirname(target))
  if (!`${real}/`.startsWith(`${fs.realpathSync(draft)}/`)) throw new FabricError(`${file} leads out of the disk`)
  fs.rmSync(target, { force: true })
  fs.writeFileSync(target, contents, { mode })
}

function writeEtc(etc: string, name: string): void {
  const host = /^[A-Za-z0-9-]{1,63}$/.test(name) ? name : 'server'
  const files: Record<string, string> = {
    passwd: 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n',
    group: 'root:x:0:\nnogroup:x:65534:\n',
    hosts: `127.0.0.1 localhost\n::1 localhost\n127.0.1.1 ${host}\n`,
    hostname: `${host}\n`,
    'resolv.conf': '',
    'nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
  }
  for (const [file, text] of Object.entries(files)) fs.writeFileSync(path.join(etc, file), text)
  for (const file of ['ld.so.cache', 'protocols', 'services', 'ssl/openssl.cnf'])
    if (fs.existsSync(`/etc/${file}`)) fs.copyFileSync(`/etc/${file}`, path.join(etc, file))
}
