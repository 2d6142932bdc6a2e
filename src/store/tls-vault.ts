/** Tenants' certificates and keys in the database, sealed: a copy of the database alone opens nothing. */
import { createCipheriv, createDecipheriv, randomBytes, scryptSync } from 'node:crypto'
import type pg from 'pg'
import { Secret } from '../service/secret.ts'

/** Files by load balancer and name; names are digests of the contents, so what is there need not be written again. */
export class TlsVault {
  readonly #pool: pg.Pool
  readonly #key: Buffer

  /** `passphrase` is the same for all controllers. */
  constructor(pool: pg.Pool, passphrase: Secret) {
    this.#pool = pool
    this.#key = scryptSync(passphrase.reveal(), 'ottavia tls files', 32)
  }

  async keep(load_balancer_id: string, name: string, pem: Secret): Promise<void> {
    await this.#pool.query(
      `insert into lbaas.tls_file (load_balancer_id, name, sealed) values ($1, $2, $3)
       on conflict (load_balancer_id, name) do update set sealed = excluded.sealed`,
      [load_balancer_id, name, this.#seal(pem, `${load_balancer_id} ${name}`)],
    )
  }

  async fetch(load_balancer_id: string, name: string): Promise<Secret | null> {
    const sql = 'select sealed from lbaas.tls_file where load_balancer_id = $1 and name = $2'
    const { rows } = await this.#pool.query<{ sealed: Buffer }>(sql, [load_balancer_id, name])
    return rows[0] ? this.#open(rows[0].sealed, `${load_balancer_id} ${name}`) : null
  }

  async names(load_balancer_id: string): Promise<string[]> {
    const sql = 'select name from lbaas.tls_file where load_balancer_id = $1'
    const { rows } = await this.#pool.query<{ name: string }>(sql, [load_balancer_id])
    return rows.map(row => row.name)
  }

  async forget(load_balancer_id: string, names: string[]): Promise<void> {
    const sql = 'delete from lbaas.tls_file where load_balancer_id = $1 and name = any($2)'
    await this.#pool.query(sql, [load_balancer_id, names])
  }

  /** Nonce, tag, ciphertext. `place` is authenticated: what lies elsewhere does not open. */
  #seal(pem: Secret, place: string): Buffer {
    const nonce = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(Buffer.from(place))
    const sealed = Buffer.concat([cipher.update(pem.reveal(), 'utf8'), cipher.final()])
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed])
  }

  /** Null when it was sealed with another passphrase, or is not whole: it is fetched from the key manager again then. */
  #open(sealed: Buffer, place: string): Secret | null {
    try {
      const decipher = createDecipheriv('aes-256-gcm', this.#key, sealed.subarray(0, 12))
      decipher.setAAD(Buffer.from(place)).setAuthTag(sealed.subarray(12, 28))
      return new Secret(Buffer.concat([decipher.update(sealed.subarray(28)), decipher.final()]).toString('utf8'))
    } catch {
      return null
    }
  }
}
