/** Opens what is encrypted, in a thread of its own with a limit: whoever made the file chose how much work that is. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { Worker } from 'node:worker_threads'

/** A PKCS #12 without a password, in base64, or a PEM key with its passphrase. */
export type Locked = { pkcs12_base64: string } | { key_pem: string; passphrase: string }

/** DER in base64; or why there is nothing. */
export type Unlocked = { certificates: string[]; keys: string[] } | { refused: string }

/** Certificates and keys in the order of the file; none where the passphrase does not fit. `refuse` makes the error. */
export async function unlock(
  locked: Locked,
  refuse: (reason: string) => Error,
  limit_ms = 10_000,
): Promise<{ certificates: X509Certificate[]; keys: KeyObject[] }> {
  const worker = new Worker(new URL('./unlock-thread.ts', import.meta.url), {
    workerData: locked,
    resourceLimits: { maxOldGenerationSizeMb: 128 },
  })
  let limit: NodeJS.Timeout | undefined
  try {
    const unlocked = await new Promise<Unlocked>((resolve, reject) => {
      limit = setTimeout(() => reject(refuse('takes too long to open: encrypt it with fewer iterations')), limit_ms)
      worker.once('message', resolve)
      worker.once('error', error => {
        const { code } = error as { code?: string }
        reject(code === 'ERR_WORKER_OUT_OF_MEMORY' ? refuse('takes too much memory to open') : error)
      })
    })
    if ('refused' in unlocked) throw refuse(unlocked.refused)
    return {
      certificates: unlocked.certificates.map(der => new X509Certificate(Buffer.from(der, 'base64'))),
      keys: unlocked.keys.map(der =>
        createPrivateKey({ key: Buffer.from(der, 'base64'), format: 'der', type: 'pkcs8' }),
      ),
    }
  } finally {
    clearTimeout(limit)
    void worker.terminate()
  }
}
