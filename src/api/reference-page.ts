/** The page of reference at /docs: a viewer of the API's document, from its own files, under a strict policy. */
import fs from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import type { FastifyInstance } from 'fastify'
import { Rejected } from '../lbaas/errors.ts'

/** Served without a token. The files are read when they are first asked for, and kept. */
export function addReferencePage(app: FastifyInstance): void {
  const open = { config: { open: true } }
  const kept = new Map<string, Buffer>()
  app.get('/docs', open, async (_request, reply) => reply.headers(strict).type('text/html; charset=utf-8').send(page))
  app.get('/docs/:file', open, async (request, reply) => {
    const { file } = request.params as { file: string }
    const type = Object.hasOwn(files, file) ? files[file as keyof typeof files] : null
    if (type === null) throw new Rejected('path_not_found', {})
    const text =
      kept.get(file) ?? (file === 'begin.js' ? Buffer.from(begin) : fs.readFileSync(path.join(viewer(), file)))
    kept.set(file, text)
    return reply
      .headers({ ...strict, 'cache-control': 'max-age=3600' })
      .type(type)
      .send(text)
  })
}

/** Nothing from elsewhere, nothing inline, nobody's frame. The viewer's icons are data. */
const strict = {
  'content-security-policy': [
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'",
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
}

const files = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'begin.js': 'text/javascript; charset=utf-8',
} as const

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ottavia: the API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="reference"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/begin.js"></script>
</body>
</html>
`

const begin = `SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#reference',
  docExpansion: 'none',
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  filter: true,
  validatorUrl: null,
  persistAuthorization: false,
})
`

function viewer(): string {
  return path.dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'))
}
