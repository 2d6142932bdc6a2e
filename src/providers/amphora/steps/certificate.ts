/** The certificate by which an amphora's agent is known: its name is the amphora's id. */
import { amphoraStep } from '../../../controller/flow.ts'
import type { Clients } from '../clients.ts'

export const certificate = amphoraStep<Clients>({
  title: 'issue certificate',
  upstream: 'GenerateServerPEM',
  deadline_s: 30,
  done: amphora => amphora.certificate !== null,
  ensure: async (amphora, _tree, { clients }) => {
    const { pem, expires_at } = await clients.issueCertificate(amphora.id)
    return { certificate: pem, cert_expiration: expires_at.toISOString() }
  },
})
