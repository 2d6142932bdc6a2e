/** Which interface of the namespace has which MAC, so that a reboot can put them back, and whose VIPs are keepalived's. */
import { readIfThere, writeWhole } from './files.ts'

export type Plugged = { mac_address: string; name: string }

/** Lines of `<mac> <name>`. */
export async function readPlugged(file: string): Promise<Plugged[]> {
  const text = (await readIfThere(file)) ?? ''
  return text.split('\n').flatMap(line => {
    const [mac_address, name] = line.trim().split(/\s+/)
    return mac_address && name ? [{ mac_address: mac_address.toLowerCase(), name }] : []
  })
}

/** Adds or replaces the line of a MAC; a line of another MAC that had this name is of an interface that is gone. */
export async function recordPlugged(file: string, entry: Plugged): Promise<void> {
  const others = (await readPlugged(file)).filter(
    each => each.mac_address !== entry.mac_address && each.name !== entry.name,
  )
  const lines = [...others, entry].map(({ mac_address, name }) => `${mac_address} ${name}\n`)
  await writeWhole(file, lines.join(''), 0o644)
}

/** Addresses of keepalived's, by MAC; lines of `<mac> <address>`. */
export async function readOwned(file: string): Promise<{ mac_address: string; address: string }[]> {
  return (await readPlugged(file)).map(({ mac_address, name }) => ({ mac_address, address: name }))
}

export async function recordOwned(file: string, mac_address: string, addresses: string[]): Promise<void> {
  const all = await readOwned(file)
  const others = all.filter(each => each.mac_address !== mac_address)
  if (addresses.length === 0 && others.length === all.length) return
  const mine = addresses.map(address => ({ mac_address, address }))
  await writeWhole(file, [...others, ...mine].map(each => `${each.mac_address} ${each.address}\n`).join(''), 0o644)
}
