/** What calls are refused with, in both dialects: Octavia's text, and Neutron's type and text. */
import type { Refusal } from './cell.ts'

/** Both dialects in the order of their cells. */
export const policy = (action: string): Refusal => ({
  octavia: 'Policy does not allow this request to be performed.',
  neutron: ['PolicyNotAuthorized', `(rule:${action}) is disallowed by policy`],
})

export const notFound = (title: string, in_neutron: string, id: string): Refusal => ({
  octavia: `${title} ${id} not found.`,
  neutron: ['EntityNotFound', `${in_neutron} ${id} could not be found`],
})

export const badValue = (field: string, value: unknown): Refusal => ({
  octavia: new RegExp(`^Invalid input for field/attribute ${field}\\. Value: '${String(value)}'\\. Value should be `),
  neutron: ['HTTPBadRequest', new RegExp(`^Invalid input for ${field}\\. Reason: '.*\\.$`)],
})

export const missing = (field: string): Refusal => ({
  octavia: `Invalid input for field/attribute ${field}. Value: 'None'. Mandatory field missing.`,
  neutron: ['HTTPBadRequest', `Failed to parse request. Required attribute '${field}' not specified`],
})

export const unknownField = (root: string, field: string): Refusal => ({
  octavia: `Unknown attribute for argument ${root}: ${field}`,
  neutron: ['HTTPBadRequest', `Unrecognized attribute(s) '${field}'`],
})

export const readOnly = (root: string, field: string): Refusal => ({
  octavia: `Unknown attribute for argument ${root}: ${field}`,
  neutron: ['HTTPBadRequest', `Cannot update read-only attribute ${field}`],
})

export const noRoot = (root: string): Refusal => ({
  octavia: `Missing argument: "${root}"`,
  neutron: ['HTTPBadRequest', `Unable to find '${root}' in request body`],
})

export const badFilter = (name: string): Refusal => ({
  octavia: 'One or more arguments are either duplicate or invalid',
  neutron: ['HTTPBadRequest', `['${name}'] is invalid attribute for filtering`],
})

export const badLimit = (value: string): Refusal => ({
  octavia: `Supplied pagination limit '${value}' is not valid.`,
  neutron: ['HTTPBadRequest', `Supplied pagination limit '${value}' is not valid.`],
})

export const immutable = (title: string, id: string): Refusal => ({
  octavia: `${title} ${id} is immutable and cannot be updated.`,
  neutron: ['StateInvalid', `Invalid state PENDING_DELETE of loadbalancer resource ${id}`],
})
