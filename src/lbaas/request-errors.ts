/** Refusals that have to do with the request itself: who asks, for what, in which form, and when. */
import { bad, comeAgain, type Entry, inNeutron } from './error-text.ts'

export const request_errors = {
  not_found: {
    rule: 'There is no such object, or not for this project.',
    octavia: [404, v => `${v.resource} ${v.id} not found.`],
    neutron: [404, 'EntityNotFound', v => `${inNeutron(v.resource)} ${v.id} could not be found`],
  },
  member_not_found: {
    rule: 'The pool has no such member.',
    octavia: [404, v => `Member ${v.id} not found.`],
    neutron: [404, 'MemberNotFoundForPool', v => `Member ${v.id} could not be found in pool ${v.pool_id}`],
  },
  rule_not_found: {
    rule: 'The L7 policy has no such rule.',
    octavia: [404, v => `L7 Rule ${v.id} not found.`],
    neutron: [404, 'RuleNotFoundForL7Policy', v => `Rule ${v.id} could not be found in l7 policy ${v.l7policy_id}.`],
  },
  path_not_found: {
    rule: 'There is nothing at this path.',
    octavia: [404, () => 'The resource could not be found.'],
    neutron: [404, 'HTTPNotFound', () => 'The resource could not be found.'],
  },
  cloud_object_not_found: {
    rule: 'The cloud has no such subnet, network or port, or the project may not use it.',
    octavia: [400, v => `${v.resource} ${v.id} not found.`],
    neutron: [404, v => `${v.resource}NotFound`, v => `${v.resource} ${v.id} could not be found.`],
  },
  unauthenticated: {
    rule: 'Keystone does not know the token; get a new one.',
    octavia: [401, () => 'The request you have made requires authentication.'],
    neutron: [401, 'Unauthorized', () => 'The request you have made requires authentication.'],
  },
  forbidden: {
    rule: "The policy gives none of the token's roles this right.",
    octavia: [403, () => 'Policy does not allow this request to be performed.'],
    neutron: [403, 'PolicyNotAuthorized', v => `(rule:${v.action}) is disallowed by policy`],
  },
  missing_project: {
    rule: 'Without authentication the request must name its project.',
    octavia: [400, () => 'Missing project ID in request where one is required.'],
    neutron: bad(() => 'Running without keystone AuthN requires that tenant_id is specified'),
  },
  foreign_project: {
    rule: 'Only an admin may name a project that is not his own.',
    octavia: [403, () => 'Policy does not allow this request to be performed.'],
    neutron: bad(
      () =>
        "Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin privileges",
    ),
  },
  unknown_attributes: {
    rule: 'The body names fields that do not exist, or may not be set so.',
    octavia: [
      400,
      v => `Unknown attribute${String(v.names).includes(', ') ? 's' : ''} for argument ${v.root}: ${v.names}`,
    ],
    neutron: bad(v => `Unrecognized attribute(s) '${v.names}'`),
  },
  read_only_attribute: {
    rule: 'The field is set at creation or never.',
    octavia: [400, v => `Unknown attribute for argument ${v.root}: ${v.name}`],
    neutron: bad(v =>
      v.method === 'POST' ? `Attribute '${v.name}' not allowed in POST` : `Cannot update read-only attribute ${v.name}`,
    ),
  },
  required_attribute: {
    rule: 'The body lacks a required field.',
    octavia: [400, v => `Invalid input for field/attribute ${v.name}. Value: 'None'. Mandatory field missing.`],
    neutron: bad(v => `Failed to parse request. Required attribute '${v.name}' not specified`),
  },
  bad_value: {
    rule: 'A value is not of its kind or outside its limits.',
    octavia: [400, v => `Invalid input for field/attribute ${v.name}. Value: '${v.value}'. ${v.octavia}`],
    neutron: bad(v => `Invalid input for ${v.name}. Reason: ${v.neutron}.`),
  },
  bad_body: {
    rule: 'The body is no JSON object with the right root.',
    octavia: [400, v => `Invalid input for field/attribute ${v.root}. Value: '${v.value}'. ${v.detail}`],
    neutron: bad(() => 'Body contains invalid data'),
  },
  bad_json: {
    rule: 'The body is no JSON.',
    octavia: [400, () => 'Request must be in JSON format: the body could not be parsed.'],
    neutron: bad(() => 'Body contains invalid data'),
  },
  wrong_root: {
    rule: "The body's one key is the resource's name.",
    octavia: [400, v => `Unknown argument: "${v.given}"`],
    neutron: bad(v => `Unable to find '${v.root}' in request body`),
  },
  missing_root: {
    rule: 'There is no body, or no JSON object.',
    octavia: [400, v => `Missing argument: "${v.root}"`],
    neutron: bad(() => 'Resource body required'),
  },
  wrong_content_type: {
    rule: 'Bodies are application/json.',
    octavia: [415, v => `Unknown mimetype: ${v.given}`],
    neutron: [415, 'HTTPUnsupportedMediaType', v => `The content type ${v.given} is not supported.`],
  },
  too_large: {
    rule: 'The body is larger than any request needs.',
    octavia: [413, () => 'Request is too large.'],
    neutron: [413, 'HTTPRequestEntityTooLarge', () => 'Request is too large.'],
  },
  bad_filter: {
    rule: 'There is no such field to filter by.',
    octavia: [400, () => 'One or more arguments are either duplicate or invalid'],
    neutron: bad(v => `['${v.name}'] is invalid attribute for filtering`),
  },
  bad_list_option: {
    rule: 'A list cannot be sorted or cut so.',
    octavia: [400, v => `Supplied ${v.option} '${v.value}' is not valid.`],
    neutron: bad(v => `Supplied ${v.option} '${v.value}' is not valid.`),
  },
  no_agent: {
    rule: 'No amphora serves the load balancer yet, or any more.',
    octavia: [404, v => `No active agent found for loadbalancer ${v.id}.`],
    neutron: [404, 'NoActiveLbaasAgent', v => `No active agent found for loadbalancer ${v.id}.`],
  },
  busy: {
    rule: 'Other writes of the project or the load balancer did not let this one through in time; try again.',
    ...comeAgain(() => 'Project busy.  Unable to lock the project.  Please try again.'),
  },
  reservation_gone: {
    rule: 'The address was taken back because accepting took too long; try again.',
    ...comeAgain(() => 'The VIP reservation has expired. Please try again.'),
  },
  unavailable: {
    rule: 'The cloud or the database did not answer; try again.',
    ...comeAgain(v => `The ${v.service} service is not available at the moment. Please try again.`),
  },
  defect: {
    rule: 'An error of ours; the log has the rest under this id.',
    octavia: [500, v => `internal error ${v.id}`],
    neutron: [500, 'HTTPInternalServerError', v => `internal error ${v.id}`],
  },
} as const satisfies Record<string, Entry>
