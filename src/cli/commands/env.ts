/** `ottavia env USER`: the variables that the genuine clients read, to be eval-ed by a shell. */
import { State } from '../state.ts'

/** Lines of exports for user admin or demo. */
export function env(dir: string, user: string): string {
  const state = new State(dir)
  const ports = state.ports()
  if (!ports) throw new Error(`there is no stack in ${state.dir} yet; start one with: npm start`)
  if (user !== 'admin' && user !== 'demo') throw new Error(`there is no user ${user}; name admin or demo`)
  const variables: Record<string, string> = {
    OS_AUTH_URL: `http://127.0.0.1:${ports.identity}/v3`,
    OS_USERNAME: user,
    OS_PASSWORD: state.secrets()[user],
    OS_PROJECT_NAME: user,
    OS_TENANT_NAME: user,
    OS_USER_DOMAIN_NAME: 'Default',
    OS_PROJECT_DOMAIN_NAME: 'Default',
    OS_IDENTITY_API_VERSION: '3',
    OS_REGION_NAME: 'RegionOne',
    OS_INTERFACE: 'public',
  }
  return Object.entries(variables)
    .map(([name, value]) => `export ${name}='${value}'\n`)
    .join('')
}
