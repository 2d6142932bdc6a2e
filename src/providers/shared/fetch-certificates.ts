/** What listeners and pools refer to in the certificate store: fetched once, checked, and kept as files for amphorae. */
import { createHash } from 'node:crypto'
import { filesOf } from '../../amphora/haproxy/input.ts'
import type { ListenerInput } from '../../amphora/haproxy/listener.ts'
import { pemName, serverPem } from '../../cloud/certificates/bundle.ts'
import { CertificateError } from '../../cloud/certificates/certificate-error.ts'
import { CloudError } from '../../cloud/openstack.ts'
import { type Facts, type StepContext, treeStep } from '../../controller/flow.ts'
import { Permanent } from '../../controller/outcome.ts'
import { certificatesOf, type TlsFiles, terminates } from '../../lbaas/tls.ts'
import { leaving, poolsUsed, type Tree } from '../../lbaas/tree.ts'
import { Secret } from '../../service/secret.ts'
import type { SharedClients } from './clients.ts'

export const fetchCertificates = treeStep<SharedClients>({
  title: 'fetch certificates',
  upstream: 'LoadBalancerToProviderDict',
  deadline_s: 120,
  done: tree => wanted(tree).every(({ missing }) => missing.length === 0),
  look: async (tree, { clients }) => {
    const named = [...tree.listeners, ...tree.pools].flatMap(({ tls_files }) => Object.values(tls_files))
    const kept = new Set<string>()
    for (const { name } of named) if (await clients.vault.fetch(tree.load_balancer.id, name)) kept.add(name)
    const lost = (rows: { id: string; tls_files: TlsFiles }[]) =>
      rows
        .map(({ id, tls_files }) => [id, Object.entries(tls_files)] as const)
        .filter(([, files]) => files.some(([, { name }]) => !kept.has(name)))
        .map(([id, files]) => [id, { tls_files: Object.fromEntries(files.filter(([, { name }]) => kept.has(name))) }])
    const [listeners, pools] = [
      Object.fromEntries([...lost(tree.listeners), ...(await answeredFor(tree, clients))]),
      Object.fromEntries(lost(tree.pools)),
    ]
    return {
      ...(Object.keys(listeners).length ? { listeners } : {}),
      ...(Object.keys(pools).length ? { pools } : {}),
    }
  },
  ensure: async (tree, context) => {
    const facts: Required<Pick<Facts, 'listeners' | 'pools'>> = { listeners: {}, pools: {} }
    const load_balancer_id = tree.load_balancer.id
    for (const { listener_id, row, kind, refs, missing } of wanted(tree)) {
      if (missing.length === 0) continue
      const files = new Map(Object.entries(row.tls_files).filter(([ref]) => refs.some(one => one.ref === ref)))
      for (const { ref, as } of missing) {
        const { name, pem, not_after } = await fetched(ref, as, listener_id, context)
        await context.clients.vault.keep(load_balancer_id, name, pem)
        files.set(ref, { name, not_after })
      }
      facts[kind][row.id] = { tls_files: Object.fromEntries(files) }
    }
    await forgetUnused(tree, facts, context)
    return facts
  },
})

const key_manager_away = 'The key manager does not give the certificate; it is asked again within minutes.'

/** Listeners that the key manager had nothing for, now that it answers: they are tried again. */
async function answeredFor(tree: Tree, { certificates }: SharedClients) {
  const answered: [string, { provisioning_status: 'PENDING_UPDATE'; reason: null }][] = []
  for (const listener of tree.listeners.filter(one => !leaving(one) && one.reason === key_manager_away)) {
    const missing = referredTo(tree, listener).flatMap(one => one.missing)
    const asked = missing.map(({ ref, as }) =>
      as === 'certificate' ? certificates.read(ref, { accept_expired: true }) : certificates.readAuthority(ref, {}),
    )
    const answers = await Promise.allSettled(asked)
    const silent = answers.some(one => one.status === 'rejected' && !(one.reason instanceof CertificateError))
    if (!silent) answered.push([listener.id, { provisioning_status: 'PENDING_UPDATE', reason: null }])
  }
  return answered
}

type As = 'certificate' | 'authority' | 'revocations'
type Reference = { ref: string; as: As }

/** Per listener that is to run, and per pool that it uses: what is referred to, and what of it is not there yet. */
function wanted(tree: Tree) {
  return tree.listeners
    .filter(listener => !leaving(listener) && listener.provisioning_status !== 'ERROR')
    .flatMap(listener => referredTo(tree, listener))
}

function referredTo(tree: Tree, listener: Tree['listeners'][number]) {
  const own = { listener_id: listener.id, row: listener, kind: 'listeners' as const, refs: refsOfListener(listener) }
  const pools = poolsUsed(tree, listener).map(pool => {
    return { listener_id: listener.id, row: pool, kind: 'pools' as const, refs: refsOfPool(pool) }
  })
  return [own, ...pools].map(one => ({ ...one, missing: one.refs.filter(({ ref }) => !(ref in one.row.tls_files)) }))
}

function refsOfListener(listener: Tree['listeners'][number]): Reference[] {
  if (!terminates(listener)) return []
  const { client_ca_tls_container_ref, client_crl_container_ref } = listener
  return [
    ...certificatesOf(listener).map(ref => ({ ref, as: 'certificate' as const })),
    ...named(client_ca_tls_container_ref, 'authority'),
    ...named(client_crl_container_ref, 'revocations'),
  ]
}

function refsOfPool(pool: Tree['pools'][number]): Reference[] {
  if (!pool.tls_enabled) return []
  const { tls_container_ref, ca_tls_container_ref, crl_container_ref } = pool
  return [
    ...named(tls_container_ref, 'certificate'),
    ...named(ca_tls_container_ref, 'authority'),
    ...named(crl_container_ref, 'revocations'),
  ]
}

function named(ref: string | null, as: As): Reference[] {
  return ref === null ? [] : [{ ref, as }]
}

/** An expired certificate is served on: a load balancer that has one must still fail over. What cannot be had is the
 *  listener's failure; it serves on with what it had. */
async function fetched(
  ref: string,
  as: As,
  listener_id: string,
  { clients, signal, pause, say }: StepContext<SharedClients>,
) {
  for (let failures = 1; ; failures++) {
    try {
      const how = { signal, accept_expired: true }
      if (as !== 'certificate') return authorityFile(await clients.certificates.readAuthority(ref, how), as)
      const bundle = await clients.certificates.read(ref, how)
      return { name: pemName(bundle), pem: serverPem(bundle), not_after: bundle.not_after.toISOString() }
    } catch (error) {
      if (error instanceof CertificateError)
        throw new Permanent(`The certificate ${error.message}.`, error.message, listener_id)
      if (!(error instanceof CloudError) || signal.aborted) throw error
      if (error.kind !== 'unavailable' || failures === 12)
        throw new Permanent(key_manager_away, error.message, listener_id)
      if (failures === 1) say(`waiting for the key manager: ${error.message}`)
      await pause(900)
    }
  }
}

function authorityFile(found: { certificates_pem: string[]; revocations_pem: string[] }, as: As) {
  const blocks = as === 'authority' ? found.certificates_pem : found.revocations_pem
  const text = `${blocks.join('\n')}\n`
  const name = `${createHash('sha1').update(text).digest('hex')}.pem`
  return { name, pem: new Secret(text), not_after: null }
}

/** Kept is what is referred to now, and what listeners fall back to. */
async function forgetUnused(tree: Tree, facts: Facts, { clients }: StepContext<SharedClients>): Promise<void> {
  const used = new Set<string>()
  for (const kind of ['listeners', 'pools'] as const)
    for (const row of tree[kind]) {
      const files = facts[kind]?.[row.id]?.tls_files ?? row.tls_files
      for (const { name } of Object.values(files)) used.add(name)
    }
  for (const { serving } of tree.listeners)
    if (serving) for (const name of filesOf(serving as ListenerInput)) used.add(name)
  const names = await clients.vault.names(tree.load_balancer.id)
  const unused = names.filter(name => !used.has(name))
  if (unused.length) await clients.vault.forget(tree.load_balancer.id, unused)
}
