/** For tests: the programs that run inside a sandbox. */

/** Makes the machine, and ends with whoever made the sandbox. */
export const firstProcess = `set -e
folder=$1 node=$2 lan=$3
mount --make-rprivate /
mount -t proc proc /proc
mount -t sysfs sysfs /sys && mount --bind /sys /sys     # ip netns exec mounts it anew, beside a visible one only
mount -t tmpfs tmpfs /mnt
for each in passwd group hosts nsswitch.conf ld.so.cache protocols services alternatives; do
  [ -e /etc/$each ] && cp -a --no-preserve=ownership /etc/$each /mnt/
done
mount --bind /mnt /etc
mkdir -p /etc/octavia/certs /etc/network /etc/ssl
printf 'auto eth0\\n' > /etc/network/eth0.cfg
cp $folder/amphora-agent.conf /etc/octavia/
cp $folder/server.pem $folder/client_ca.pem /etc/octavia/certs/
[ $lan = own ] || { touch $folder/lan && mount --bind /run/netns/lan $folder/lan; }
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib
mkdir -p /var/lib/octavia /run/netns
ip link set lo up
if [ $lan = own ]; then
  ip netns add lan
  ip -n lan link set lo up
  ip netns exec lan $node $folder/web.mjs &
else
  touch /run/netns/lan
  mount --bind $folder/lan /run/netns/lan
fi
$node $folder/relay.mjs $folder/relay &
exec 3<&0
cat <&3 > /dev/null &                                    # ends with whoever made the sandbox, and all with it
maker=$!
while kill -0 $maker 2> /dev/null; do sleep 1 & wait $!; done
`

/** On all addresses, those that come later too. /slow keeps its connection until somebody asks for /go;
 *  /mute never answers, /later after a moment. */
export const webServers = `import http from 'node:http'
let waiting = []
let later = 0
http.createServer((request, response) => {
  const me = request.socket.localAddress.replace('::ffff:', '')
  if (request.url === '/mute') return
  if (request.url === '/later') {
    later++
    return setTimeout(() => response.end(me, () => later--), 450)
  }
  if (request.url === '/waiting') return response.end(String(waiting.length + later))
  if (request.url === '/go') { waiting.forEach(each => each.end('done')); waiting = [] }
  if (request.url === '/slow') { response.write('slow '); waiting.push(response) } else response.end(me)
}).listen(80, '::')
`

/** A socket of the file system that leads to the agent. */
export const relay = `import net from 'node:net'
net.createServer(socket => {
  const on = net.connect(9876, '127.0.0.1')
  socket.pipe(on).pipe(socket)
  for (const each of [socket, on]) {
    each.on('error', () => {})
    each.on('close', () => { socket.destroy(); on.destroy() })
  }
}).listen(process.argv[2])
`

/** Asks the URL without a pause until its input ends, then tells how it went. */
export const load = `import http from 'node:http'
let answered = 0, on = true
const failed = []
process.stdin.on('end', () => { on = false }).resume()
const ask = () => new Promise(resolve => {
  http.get(process.argv[2], { agent: false }, response => {
    response.resume().on('end', () => { response.statusCode === 200 ? answered++ : failed.push(response.statusCode); resolve() })
  }).on('error', error => { failed.push(error.message); resolve() })
})
await Promise.all(Array.from({ length: 8 }, async () => { while (on) await ask() }))
console.log(JSON.stringify({ answered, failed }))
`
