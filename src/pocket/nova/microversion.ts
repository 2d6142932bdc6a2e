/** Nova's microversions: which one a request asks for. */
import type { FastifyRequest } from 'fastify'
import { Refusal } from '../service.ts'

/** 2.15 is what Octavia speaks, and what the recordings of a real Nova cover. */
export const newest_minor = 15

/** As the client wrote it; empty when it said nothing. */
export function askedVersion(request: FastifyRequest): string {
  const header = request.headers['x-openstack-nova-api-version'] ?? request.headers['openstack-api-version'] ?? ''
  return String(header).replace(/^compute +/, '')
}

/** The second number of the version. Refuses what is no version (400) and what is not announced (406). */
export function minorOf(request: FastifyRequest): number {
  const text = askedVersion(request)
  if (text === '') return 1
  if (text === 'latest') return newest_minor
  const match = /^(\d{1,4})\.(\d{1,4})$/.exec(text)
  if (!match)
    throw new Refusal(
      400,
      'badRequest',
      `API Version String ${text} is of invalid format. Must be of format MajorNum.MinorNum.`,
    )
  const minor = Number(match[2])
  if (match[1] !== '2' || minor < 1 || minor > newest_minor)
    throw new Refusal(
      406,
      'computeFault',
      `Version ${text} is not supported by the API. Minimum is 2.1 and maximum is 2.${newest_minor}.`,
    )
  return minor
}
