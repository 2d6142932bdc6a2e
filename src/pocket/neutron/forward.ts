/** Forwards what is not Neutron's own to a configured address, as an operator's proxy would. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { request as send } from 'undici'
import { Refusal } from '../service.ts'

const hop_by_hop = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'content-length',
  'upgrade',
  'te',
  'expect',
])

/** Sends the request on as it came, its Host too, from which the links in lists are made; and passes the answer back as it
 *  came. */
export async function forward(target: string, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const headers = Object.fromEntries(
    Object.entries(request.headers).filter(([name]) => !hop_by_hop.has(name)),
  ) as Record<string, string>
  const body = request.method === 'GET' || request.method === 'HEAD' ? undefined : (request.body as string | undefined)
  const answer = await send(`${target}${request.url}`, {
    method: request.method as 'GET',
    headers,
    body,
    headersTimeout: 120_000,
  }).catch((error: Error) => {
    throw new Refusal(503, 'ServiceUnavailable', `The load balancing service does not answer: ${error.message}`)
  })
  const kept = Object.fromEntries(Object.entries(answer.headers).filter(([name]) => !hop_by_hop.has(name)))
  const text = Buffer.from(await answer.body.arrayBuffer())
  return reply
    .status(answer.statusCode)
    .headers(kept)
    .send(text.length > 0 ? text : undefined)
}
