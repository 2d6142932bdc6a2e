/** Bad values and bodies in both dialects: the exact status and form, and nothing left half-made. */
import { describe, expect, test } from 'vitest'
import { apiForTests, subnet } from './pretended.ts'
import { bad, listenerOn, member, poolOn, type Refusal, refusalsOf } from './refusals.ts'

const api = apiForTests()
const { ids, refused } = refusalsOf(api)
const listener = (fields: object) => listenerOn(ids.lb, fields)
const pool = (fields: object) => poolOn(ids.lb, fields)

describe('values', () => {
  test.each([
    [0, 'greater or equal to 1', "'0' is too small - must be at least '1'"],
    [65536, 'lower or equal to 65535', "'65536' is too large - must be no larger than '65535'"],
  ])('port %d', async (port, octavia, neutron) => {
    const expected = {
      octavia: [
        400,
        `Invalid input for field/attribute protocol_port. Value: '${port}'. Value should be ${octavia}`,
      ] as Refusal['octavia'],
      neutron: bad(`Invalid input for protocol_port. Reason: ${neutron}.`),
    }
    await refused('POST', '/listeners', listener({ protocol_port: port }), expected)
    await refused('POST', `/pools/${ids.pool}/members`, member({ protocol_port: port }), expected)
  })

  test('a wrong protocol', async () => {
    await refused('POST', '/listeners', listener({ protocol: 'GOPHER' }), {
      octavia: [
        400,
        "Invalid input for field/attribute protocol. Value: 'GOPHER'. Value should be one of: HTTP, HTTPS, TCP, TERMINATED_HTTPS, UDP, SCTP, PROMETHEUS",
      ],
      neutron: bad(
        "Invalid input for protocol. Reason: 'GOPHER' is not in ['TCP', 'HTTPS', 'HTTP', 'TERMINATED_HTTPS'].",
      ),
    })
  })

  test('what is required', async () => {
    await refused(
      'POST',
      '/pools',
      { pool: { loadbalancer_id: ids.lb, protocol: 'HTTP' } },
      {
        octavia: [400, "Invalid input for field/attribute lb_algorithm. Value: 'None'. Mandatory field missing."],
        neutron: bad("Failed to parse request. Required attribute 'lb_algorithm' not specified"),
      },
    )
  })

  test('an unknown attribute', async () => {
    await refused('POST', '/listeners', listener({ colour: 'red' }), {
      octavia: [400, 'Unknown attribute for argument listener: colour'],
      neutron: bad("Unrecognized attribute(s) 'colour'"),
    })
    await refused(
      'PUT',
      `/pools/${ids.pool}`,
      { pool: { colour: 'red', size: 1 } },
      {
        octavia: [400, 'Unknown attributes for argument pool: colour, size'],
        neutron: bad("Unrecognized attribute(s) 'colour, size'"),
      },
    )
  })

  test('what may not be set, or not later', async () => {
    await refused('POST', '/listeners', listener({ provisioning_status: 'ACTIVE' }), {
      octavia: [400, 'Unknown attribute for argument listener: provisioning_status'],
      neutron: bad("Attribute 'provisioning_status' not allowed in POST"),
    })
    await refused(
      'PUT',
      `/listeners/${ids.listener}`,
      { listener: { protocol_port: 81 } },
      {
        octavia: [400, 'Unknown attribute for argument listener: protocol_port'],
        neutron: bad('Cannot update read-only attribute protocol_port'),
      },
    )
  })

  test('too long a name, and one that PostgreSQL cannot keep', async () => {
    const long = 'x'.repeat(256)
    await refused(
      'PUT',
      `/loadbalancers/${ids.lb}`,
      { loadbalancer: { name: long } },
      {
        octavia: [
          400,
          `Invalid input for field/attribute name. Value: '${'x'.repeat(200)}…'. Value should have a maximum character requirement of 255`,
        ],
        neutron: bad(`Invalid input for name. Reason: '${'x'.repeat(200)}…' exceeds maximum length of 255.`),
      },
    )
    for (const name of ['a\0b', 'half \ud83d'])
      expect(await api.octavia('PUT', `/loadbalancers/${ids.lb}`, { loadbalancer: { name } })).toMatchObject({
        status: 400,
        body: { faultstring: expect.stringContaining('Value should be string') },
      })
  })

  test.each(['10.0.0.256', '010.0.0.1', '0.0.0.0', '0::0', 'fe80::1%lo', '10.0.0.1\nserver evil 1.2.3.4', ''])(
    'the address %j',
    async address => {
      await refused('POST', `/pools/${ids.pool}/members`, member({ address }), {
        octavia: [
          400,
          `Invalid input for field/attribute address. Value: '${address}'. Value should be IPv4 or IPv6 format`,
        ],
        neutron: bad(`Invalid input for address. Reason: '${address}' is not a valid IP address.`),
      })
    },
  )

  test('a reserved address, and one of the other family than its subnet', async () => {
    await refused('POST', `/pools/${ids.pool}/members`, member({ address: '169.254.169.254' }), {
      octavia: [400, '169.254.169.254 is not a valid option for member address'],
      neutron: bad('Invalid input for address. Reason: 169.254.169.254 is not a valid option for member address.'),
    })
    const message = `Member with address fd00::1 and subnet ${subnet} have mismatched IP versions`
    await refused('POST', `/pools/${ids.pool}/members`, member({ address: 'fd00::1' }), {
      octavia: [400, `Validation failure: ${message}`],
      neutron: [400, 'MemberAddressTypeSubnetTypeMismatch', message],
    })
  })

  test('session persistence that does not fit', async () => {
    const detail = "'cookie_name' should be specified for APP_COOKIE session persistence."
    await refused('POST', '/pools', pool({ session_persistence: { type: 'APP_COOKIE' } }), {
      octavia: [400, `Validation failure: Invalid session_persistence provided: ${detail}`],
      neutron: [400, 'SessionPersistenceConfigurationInvalid', `Session Persistence Invalid: ${detail}`],
    })
  })
})

describe('bodies', () => {
  const post = (raw: string, headers: Record<string, string> = {}) => ({ raw, headers })

  test('broken JSON', async () => {
    const expected = {
      octavia: [400, 'Request must be in JSON format: the body could not be parsed.'] as Refusal['octavia'],
      neutron: bad('Body contains invalid data'),
    }
    await refused('POST', '/listeners', undefined, expected, post('{"listener": {'))
  })

  test('another root, none, and no object', async () => {
    await refused(
      'POST',
      '/listeners',
      { pool: {} },
      {
        octavia: [400, 'Unknown argument: "pool"'],
        neutron: bad("Unable to find 'listener' in request body"),
      },
    )
    const expected = {
      octavia: [400, 'Missing argument: "listener"'] as Refusal['octavia'],
      neutron: bad('Resource body required'),
    }
    await refused('POST', '/listeners', undefined, expected)
    for (const raw of ['null', '[]', '7', '"x"', '']) await refused('POST', '/listeners', undefined, expected, { raw })
  })

  test('the wrong content type', async () => {
    await refused(
      'POST',
      '/listeners',
      undefined,
      {
        octavia: [415, 'Unknown mimetype: text/plain'],
        neutron: [415, 'HTTPUnsupportedMediaType', 'The content type text/plain is not supported.'],
      },
      post(JSON.stringify(listener({})), { 'content-type': 'text/plain' }),
    )
  })

  test('a megabyte', async () => {
    const raw = JSON.stringify(listener({ name: 'x'.repeat(1024 * 1024) }))
    await refused(
      'POST',
      '/listeners',
      undefined,
      { octavia: [413, 'Request is too large.'], neutron: [413, 'HTTPRequestEntityTooLarge', 'Request is too large.'] },
      { raw },
    )
  })

  test('nesting as deep as a body is long, and thousands of unknown names', async () => {
    const deep = '['.repeat(100_000) + ']'.repeat(100_000)
    for (const field of ['name', 'admin_state_up', 'protocol_port', 'allowed_cidrs', 'insert_headers', 'colour']) {
      const raw = `{"listener": {"loadbalancer_id": "${ids.lb}", "protocol": "HTTP", "${field}": ${deep}}}`
      for (const call of [api.octavia, api.neutron])
        expect(await call('POST', '/listeners', undefined, { raw })).toMatchObject({ status: 400 })
    }
    const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`x${i}`, 1]))
    const { status, body } = await api.octavia('POST', '/listeners', { listener: many })
    expect(status).toBe(400)
    expect(JSON.stringify(body).length).toBeLessThan(300)
  })

  test('names of JavaScript’s own', async () => {
    const raw = `{"listener": {"loadbalancer_id": "${ids.lb}", "protocol": "HTTP", "protocol_port": 81, "__proto__": {"x": 1}}}`
    const expected = {
      octavia: [400, 'Unknown attribute for argument listener: __proto__'] as Refusal['octavia'],
      neutron: bad("Unrecognized attribute(s) '__proto__'"),
    }
    await refused('POST', '/listeners', undefined, expected, { raw })
  })
})
