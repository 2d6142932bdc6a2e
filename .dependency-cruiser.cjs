// The rooms of src/ and what each may import. The comments are what the linter tells who breaks a rule.
const rooms = {
  lbaas: [[], 'The domain is pure: it imports nothing. Pass what you need as an argument.'],
  service: [[], 'Every daemon uses it, the agent too: it imports nothing of ours.'],
  store: [['lbaas', 'service'], 'Rows in, trees out: the store knows the domain and nothing else.'],
  cloud: [['service'], "It speaks OpenStack's words, not ours; steps translate."],
  amphora: [['lbaas'], 'The agent carries it: no database, no daemon.'],
  controller: [['lbaas', 'store', 'service'], 'It runs any provider and knows none.'],
  'providers/amphora': [
    ['lbaas', 'cloud', 'amphora', 'controller/(flow|outcome)', 'service/secret', 'providers/shared'],
    'A step returns facts; the runner writes them. Providers never import each other.',
  ],
  'providers/haproxy': [
    ['lbaas', 'cloud', 'amphora', 'controller/(flow|outcome)', 'providers/shared'],
    'A step returns facts; the runner writes them. Providers never import each other.',
  ],
  'providers/shared': [
    ['lbaas', 'cloud', 'amphora', 'controller/(flow|outcome)', 'service/secret'],
    'Steps for every provider: they know no one in particular.',
  ],
  api: [['lbaas', 'store', 'cloud', 'service'], 'It acts on nothing but the VIP port.'],
  health: [['lbaas', 'store', 'amphora/heartbeat', 'service'], 'It writes rows; the controller acts.'],
  housekeeping: [
    ['lbaas', 'store', 'cloud', 'service'],
    'It writes rows and the controller acts; only the sweeper deletes VIP ports.',
  ],
  agent: [['amphora', 'service'], 'It runs alone on a small machine.'],
  pocket: [['service'], "It is somebody else's cloud: it knows nothing of load balancers."],
}

module.exports = {
  forbidden: [
    ...Object.entries(rooms).map(([room, [allowed, comment]]) => ({
      name: `room-${room.replace('/', '-')}`,
      severity: 'error',
      comment,
      from: { path: `^src/${room}/`, pathNot: '\\.test\\.ts$' },
      to: { path: '^src/', pathNot: [room, ...allowed].map(name => `^src/${name}[/.]`) },
    })),
    {
      name: 'domain-is-pure',
      severity: 'error',
      comment: 'The domain has no clock, no randomness and no machine: pass what you need as an argument.',
      from: { path: '^src/lbaas/', pathNot: '\\.test\\.ts$' },
      to: { dependencyTypes: ['core', 'npm', 'npm-dev', 'npm-optional'], pathNot: 'node_modules/ip-address' },
    },
    {
      name: 'agent-is-small',
      severity: 'error',
      comment: 'The agent runs alone on a small machine: no database, no web framework.',
      from: { path: '^src/(agent|amphora)/', pathNot: '\\.test\\.ts$' },
      to: { path: 'node_modules/(pg|kysely|fastify)/' },
    },
    {
      name: 'tests-stay-outside',
      severity: 'error',
      comment: 'What runs in production imports no test.',
      from: { path: '^src/', pathNot: '(\\.test|/pretended|/sandbox)\\.ts$' },
      to: { path: '(\\.test\\.ts$|^test/)' },
    },
    {
      name: 'no-circles',
      severity: 'error',
      comment: 'Two files that import each other are one file, or a third is missing.',
      from: { path: '^src/' },
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
  },
}
