/** A spare amphora: certificate and server, for nobody yet. */
import type { StepContext } from '../../controller/flow.ts'
import type { Amphora } from '../../lbaas/amphora.ts'
import type { Clients } from './clients.ts'
import { endServers } from './steps/delete-server.ts'
import { boot } from './steps/server.ts'

type Record = (facts: Partial<Amphora>) => Promise<void>

/** Makes it, or goes on where a try before has ended. Resolves when its agent answers. */
export async function makeSpare(spare: Amphora, record: Record, context: StepContext<Clients>): Promise<void> {
  const { certificate, cert_expiration } = spare.certificate ? spare : await issued(spare, record, context)
  const { status: _, ...facts } = await boot(
    // whose unit it is to be is known when it is adopted; until then it is asked as most are
    { ...spare, unit: context.clients.choices.unit, certificate, cert_expiration },
    { server_group_id: null },
    context,
  )
  await record(facts)
}

/** Nothing of it stays in the cloud. */
export function unmakeSpare(spare: Amphora, context: StepContext<Clients>): Promise<void> {
  return endServers(spare, context)
}

async function issued(spare: Amphora, record: Record, { clients }: StepContext<Clients>) {
  const { pem, expires_at } = await clients.issueCertificate(spare.id)
  const made = { certificate: pem, cert_expiration: expires_at.toISOString() }
  await record(made) // before the server exists that bears it
  return made
}
