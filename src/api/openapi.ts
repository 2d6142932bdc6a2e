/** Serves the API's own document at /openapi.json, without a token. */
import type { FastifyInstance } from 'fastify'
import { documentOf } from './openapi/document.ts'
import type { Speech } from './speech.ts'

export function addOpenapi(app: FastifyInstance, speech: Speech): void {
  let document: ReturnType<typeof documentOf> | null = null
  app.get('/openapi.json', { config: { open: true } }, async () => {
    document ??= documentOf(speech)
    return document
  })
}
