/** The two authorities of a stack: one signs amphorae, the other the controllers. Made once, kept in the state folder. */
import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import {
  issueAmphora,
  issueController,
  makeAuthority,
  makeKeys,
  serverPem,
  type Validity,
} from '../../amphora/certificates.ts'

const ten_years_ms = 10 * 365 * 24 * 3_600_000

/** Answers with the options of section [certificates]. The keys are readable by the owner only. */
export async function ensureAuthorities(dir: string): Promise<Record<string, string>> {
  const file = (name: string) => path.join(dir, name)
  const options = {
    ca_certificate: file('server-ca.pem'),
    ca_private_key: file('server-ca.key'),
    client_ca: file('client-ca.pem'),
    client_cert: file('client.pem'),
  }
  if (fs.existsSync(dir)) return options
  const draft = `${dir}.new` // whole or not at all: half a pair of authorities would be useless
  fs.rmSync(draft, { recursive: true, force: true })
  fs.mkdirSync(draft, { recursive: true, mode: 0o700 })
  const write = (name: string, text: string) => fs.writeFileSync(path.join(draft, name), text, { mode: 0o600 })
  const [server_ca, client_ca] = await Promise.all([
    makeAuthority('ottavia amphorae', await makeKeys(), validity(ten_years_ms)),
    makeAuthority('ottavia controllers', await makeKeys(), validity(ten_years_ms)),
  ])
  const client = await issueController('controller', await makeKeys(), client_ca, validity(ten_years_ms))
  write('server-ca.pem', server_ca.certificate_pem)
  write('server-ca.key', server_ca.private_key_pem)
  write('client-ca.pem', client_ca.certificate_pem)
  write('client.pem', serverPem(client))
  fs.renameSync(draft, dir)
  return options
}

/** Gives a network host its certificate, signed by the authority of amphorae, and the authority of controllers. */
export async function equipHost(dir: string, name: string, etc: string): Promise<void> {
  fs.mkdirSync(etc, { recursive: true, mode: 0o700 })
  const read = (file: string) => fs.readFileSync(path.join(dir, file), 'utf8')
  fs.writeFileSync(path.join(etc, 'client-ca.pem'), read('client-ca.pem'))
  const file = path.join(etc, 'server.pem')
  if (fs.existsSync(file)) return
  const authority = { certificate_pem: read('server-ca.pem'), private_key_pem: read('server-ca.key') }
  const made = await issueAmphora(name, await makeKeys(), authority, validity(ten_years_ms))
  fs.writeFileSync(`${file}.new`, serverPem(made), { mode: 0o600 })
  fs.renameSync(`${file}.new`, file)
}

/** From an hour ago, for clocks that differ. */
function validity(length_ms: number): Validity {
  const now = Date.now()
  const serial = `00${randomBytes(15).toString('hex')}`
  return { not_before: new Date(now - 3_600_000), not_after: new Date(now + length_ms), serial }
}
