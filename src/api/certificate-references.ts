/** References to certificates, checked before a change: they must be the tenant's, readable by the service, and what they are to be. */
import type { Authority } from '../cloud/certificates/bundle.ts'
import { CertificateError } from '../cloud/certificates/certificate-error.ts'
import { admitted, type Reading } from '../cloud/certificates/certificate-store.ts'
import { revocationsFit } from '../cloud/certificates/revocations.ts'
import { Rejected } from '../lbaas/errors.ts'
import type { Field, TreeResource } from '../lbaas/resource.ts'
import { tables } from '../store/schema.ts'
import type { Context } from './context.ts'
import type { Caller } from './policy.ts'

/** Refuses fields that refer to what is not there, cannot be read or is none. `row` are the fields as they will be: a list
 *  of revoked certificates is checked against its authority, of which only one may be named. */
export async function checkCertificates(
  context: Context,
  caller: Caller,
  resource: TreeResource,
  fields: Readonly<Record<string, unknown>>,
  row: Readonly<Record<string, unknown>> = fields,
): Promise<void> {
  for (const [name, field] of Object.entries(tables[resource].fields)) {
    const of = field.options.each?.options.of ?? field.options.of
    if (of === 'certificate' || of === 'authority')
      for (const ref of refsIn(field, fields[name])) await readable(context, caller, ref, of)
    if (of === 'revocations') await checkRevocations(context, caller, resource, name, row, fields)
  }
}

async function checkRevocations(
  context: Context,
  caller: Caller,
  resource: TreeResource,
  name: string,
  row: Readonly<Record<string, unknown>>,
  fields: Readonly<Record<string, unknown>>,
): Promise<void> {
  const by = Object.entries(tables[resource].fields).find(([, field]) => field.options.of === 'authority')![0]
  const [ref, authority_ref] = [row[name], row[by]]
  if (typeof ref !== 'string' || typeof authority_ref !== 'string' || !(name in fields || by in fields)) return
  const list = await readable(context, caller, ref, 'revocations')
  const authority = await readable(context, caller, authority_ref, 'authority')
  if (list.revocations_pem.length === 0) throw invalid(ref, 'holds no list of revoked certificates (X509 CRL)')
  if (!revocationsFit(authority, list.revocations_pem)) throw invalid(ref, `was not issued by ${authority_ref}`)
}

async function readable(context: Context, caller: Caller, ref: string, as: string): Promise<Authority> {
  const store = context.certificates
  const read = async (one: string, how: Reading = {}): Promise<Authority> => {
    if (as === 'certificate') {
      const { certificate_pem } = await store.read(one, how)
      return { certificates_pem: [certificate_pem], revocations_pem: [] }
    }
    return store.readAuthority(one, how)
  }
  try {
    const token = caller.token?.reveal()
    const found = token === undefined ? await read(ref) : await admitted(store, ref, { token }, read)
    if (as === 'authority' && found.certificates_pem.length === 0) throw invalid(ref, 'holds no certificate')
    return found
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error
    if (error.kind === 'missing') throw new Rejected('certificate', { ref: error.ref })
    throw invalid(error.ref, error.reason)
  }
}

function refsIn(field: Field, value: unknown): string[] {
  return (field.kind === 'list' ? ((value ?? []) as unknown[]) : [value]).filter(ref => typeof ref === 'string')
}

function invalid(ref: string, reason: string): Rejected {
  return new Rejected('certificate_invalid', { ref, reason })
}
