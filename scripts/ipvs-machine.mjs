/** Runs the tests of virtual servers where there is IPVS: `node scripts/ipvs-machine.mjs KERNEL`, KERNEL being the folder
 *  into which a linux-image package of Debian was unpacked (`dpkg -x linux-image-6.1.0-…-amd64.deb KERNEL`). QEMU computes
 *  the machine, with no help of the hardware; its disk is this machine's, read-only, under a layer in memory. Needs
 *  qemu-system-x86, busybox-static and kmod. */
import { execFileSync, spawn } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { gzipSync } from 'node:zlib'

const repository = path.resolve(import.meta.dirname, '..')
const kernel = path.resolve(process.argv[2] ?? 'no-kernel-was-named')
let entries = 1
const PASSED = 'the tests of virtual servers have passed'
const tests = ['src/agent/virtual-servers.test.ts']

const [version] = fs.readdirSync(path.join(kernel, 'lib/modules'))
execFileSync('depmod', ['-b', kernel, version])
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ipvs-machine-'))
process.on('exit', () => fs.rmSync(folder, { recursive: true }))
fs.writeFileSync(path.join(folder, 'initrd'), gzipSync(initialDisk(neededModules())))
process.exitCode = (await ran()) ? 0 : 1

/** Their files, in the order in which they can be loaded. */
function neededModules() {
  const all = ['virtio_pci', '9pnet_virtio', '9p', 'overlay'].flatMap(name => {
    const words = ['-d', kernel, '-S', version, '--show-depends', name]
    return execFileSync('modprobe', words, { encoding: 'utf8' }).match(/\/\S+\.ko\S*/g) ?? []
  })
  return [...new Set(all)]
}

/** What the kernel begins with (a cpio archive): enough to reach the disk. */
function initialDisk(modules) {
  const loads = modules.map(file => `$b insmod /modules/${path.basename(file)}`)
  const begin = `#!/bin/busybox sh
b=/bin/busybox
${loads.join('\n')}
$b mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=262144 disk /disk
$b mount -t tmpfs layer /layer && $b mkdir /layer/upper /layer/work
$b mount -t overlay -o lowerdir=/disk,upperdir=/layer/upper,workdir=/layer/work overlay /root
$b mkdir -p /root/ipvs-machine
$b cp /machine /load /root/ipvs-machine/
exec $b switch_root /root /ipvs-machine/machine
`
  const machine = `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root CI=1 NO_COLOR=1
mount -t proc proc /proc && mount -t sysfs sysfs /sys && mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm && mount -t devpts pts /dev/pts && mount -t tmpfs shm /dev/shm && mount -t tmpfs run /run
echo /ipvs-machine/load > /proc/sys/kernel/modprobe
ip link set lo up
/ipvs-machine/load ip_vs
cd ${repository}
${process.execPath} node_modules/vitest/vitest.mjs run ${tests.join(' ')} --reporter=verbose < /dev/null && echo ${PASSED}
echo o > /proc/sysrq-trigger
sleep 60
`
  const load = `#!/bin/sh\nexec modprobe -d ${kernel} "$@"\n`
  const folders = ['bin', 'modules', 'disk', 'layer', 'root'].map(name => entry(name, 0o40755, ''))
  const files = [
    ...modules.map(file => entry(`modules/${path.basename(file)}`, 0o100644, fs.readFileSync(file))),
    entry('bin/busybox', 0o100755, fs.readFileSync('/bin/busybox')),
    entry('init', 0o100755, begin),
    entry('machine', 0o100755, machine),
    entry('load', 0o100755, load),
  ]
  return Buffer.concat([...folders, ...files, entry('TRAILER!!!', 0, '')])
}

/** One file or folder of the archive. */
function entry(name, mode, contents) {
  const body = Buffer.from(contents)
  const numbers = [entries++, mode, 0, 0, 1, 0, body.length, 0, 0, 0, 0, name.length + 1, 0]
  const head = `070701${numbers.map(each => each.toString(16).padStart(8, '0')).join('')}${name}\0`
  return Buffer.concat([padded(Buffer.from(head)), padded(body)])
}

function padded(bytes) {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)])
}

/** Whether the machine said that all tests passed. */
async function ran() {
  const argv = [
    ...['-accel', 'tcg', '-cpu', 'max', '-m', '3000', '-smp', '2', '-nodefaults', '-no-reboot', '-nographic'],
    ...['-serial', 'stdio', '-kernel', path.join(kernel, 'boot', `vmlinuz-${version}`)],
    ...['-initrd', path.join(folder, 'initrd'), '-append', 'console=ttyS0 loglevel=3'],
    ...['-virtfs', 'local,path=/,mount_tag=disk,security_model=none,readonly=on,multidevs=remap'],
  ]
  const child = spawn('qemu-system-x86_64', argv, { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    process.stdout.write(text)
    said += text
  })
  await new Promise(resolve => child.once('close', resolve))
  return said.includes(PASSED)
}
