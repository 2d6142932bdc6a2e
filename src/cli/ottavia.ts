/** The command line. */
import { Command, InvalidArgumentError, Option } from 'commander'
import { defaultStateDir } from './state.ts'

const program = new Command('ottavia')
  .description('Load Balancing as a Service: a drop-in for OpenStack Octavia that brings its own cloud to try it in.')
  .version('0.1.0')
  .showHelpAfterError('(ottavia --help tells more)')
  .configureHelp({ sortSubcommands: false })
  .enablePositionalOptions()

const stateOption = () =>
  new Option('--state <dir>', 'where the stack keeps its state').default(defaultStateDir, '.ottavia here')

program
  .command('up')
  .description('start a whole cloud with a load balancer in it, in the foreground (what npm start runs)')
  .addOption(stateOption())
  .option('--fresh', 'forget what earlier starts left in the state folder', false)
  .option('--no-demo', 'without the two web servers and demo-lb')
  .option('--network-hosts <n>', 'how many hosts provider haproxy has for load balancers without servers', positive, 1)
  .option('--json', 'print the result as JSON', false)
  .action(async options => {
    const { up } = await import('./commands/up.ts')
    process.exitCode = await up(options)
  })

program
  .command('down')
  .description('end the running stack; its state stays')
  .addOption(stateOption())
  .action(async options => {
    const { down } = await import('./commands/down.ts')
    await down(options.state)
  })

program
  .command('status')
  .description('what runs: APIs, servers, load balancers')
  .addOption(stateOption())
  .option('--json', 'print it as JSON', false)
  .action(async options => {
    const { showStatus } = await import('./commands/status.ts')
    await showStatus(options.state, options.json)
  })

program
  .command('env')
  .description('the genuine clients\' variables for a user: eval "$(./ottavia env demo)"')
  .argument('<user>', 'admin or demo')
  .addOption(stateOption())
  .action(async (user, options) => {
    const { env } = await import('./commands/env.ts')
    process.stdout.write(env(options.state, user))
  })

program
  .command('exec')
  .description('run a command as a host on a network of the cloud')
  .usage('[options] -- CMD...')
  .argument('<cmd...>')
  .addOption(stateOption())
  .option('--network <name>', 'name or id of the network', 'private')
  .passThroughOptions()
  .action(async (command, options) => {
    const { exec } = await import('./commands/exec.ts')
    process.exitCode = await exec(options.state, options.network, command)
  })

program
  .command('explain')
  .description('what happened to a load balancer, what is left to do, and why')
  .argument('<name|id>')
  .addOption(stateOption())
  .action(async (name, options) => {
    const { showExplanation } = await import('./commands/explain.ts')
    await showExplanation(options.state, name)
  })

program
  .command('rollout')
  .description(
    'replace all amphorae by new ones of an image, one load balancer after another, the one that stands by first',
  )
  .option('--image <tag>', 'the tag of the image; without it the rollout that was paused or has stopped goes on')
  .option('--batch <n>', 'how many load balancers at once (1 unless said otherwise)', positive)
  .option('--pause', 'begin with no further load balancer', false)
  .addOption(stateOption())
  .option('--config <file>', "ottavia's configuration, where the stack is not one of this machine's")
  .action(async options => {
    const { rollout } = await import('./commands/rollout.ts')
    const { image = null, batch = null, pause, state, config = null } = options
    process.exitCode = await rollout({ state, config }, { image, batch, pause })
  })

program
  .command('serve')
  .description('run one of the daemons: api, controller, health, housekeeping, or all of them; or network-host')
  .argument('<role>')
  .option('--config <file>', 'configuration in TOML (OTTAVIA_CONFIG); OTTAVIA_<SECTION>_<OPTION> wins over it')
  .action(async (role, options) => {
    if (role === 'pocket') {
      const { pocketRole } = await import('./commands/serve-pocket.ts')
      return pocketRole()
    }
    const config = options.config ?? process.env.OTTAVIA_CONFIG ?? null
    if (role === 'network-host') {
      const { networkHostRole } = await import('./commands/network-host.ts')
      return networkHostRole(config)
    }
    const { serve } = await import('./commands/serve.ts')
    await serve(role, config)
  })

program
  .command('agent')
  .description('run the agent of an amphora')
  .option('--config <file>', "the agent's configuration", '/etc/octavia/amphora-agent.conf')
  .action(async options => {
    const { runAgent } = await import('./commands/agent.ts')
    process.exitCode = await runAgent(options.config)
  })

program.parseAsync().catch((error: Error) => {
  process.stderr.write(`ottavia: ${error.message}\n`)
  if (process.env.OTTAVIA_DEBUG) process.stderr.write(`${error.stack}\n`)
  process.exit(1) // connections of a half-started daemon would keep it alive
})

function positive(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError('It must be a number from 1 to 99999.')
  return Number(text)
}
