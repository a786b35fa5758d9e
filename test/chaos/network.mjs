// Hosts in network namespaces of their own, on one switch: what a cut, a half-open connection or a narrow line is made on.
//
// Each host has one address, 10.213.7.N, which exists inside the namespaces only, so that runs beside each other do not meet.
// Everything here takes root; inside.mjs makes the network and runs a program in one of its hosts.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';

const prefix = 'oachaos';
const directory = '/run/netns';
const variable = 'OA_SYNC_CHAOS_NETWORK';

/** @param {...string} args */
const ip = (...args) => execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
/** @param {string} name */
const alive = (name) => existsSync(`/proc/${name.split('-')[1]}`);

export class Network {
  /** @param {string} name @param {string[]} hosts */
  constructor(name, hosts) {
    this.name = name;
    this.hosts = hosts;
  }

  /** The network that inside.mjs made for this process. */
  static get() {
    const text = process.env[variable];
    if (!text) throw new Error('this program runs in a network of its own: start it with test/chaos/inside.mjs');
    const { name, hosts } = JSON.parse(text);
    return new Network(name, hosts);
  }

  /** Makes the namespaces, the switch between them, and the addresses. @param {string[]} hosts */
  static create(hosts) {
    Network.sweep();
    const network = new Network(`${prefix}-${process.pid}`, hosts);
    try {
      network.#make();
    } catch (error) {
      network.destroy();
      throw new Error('network namespaces cannot be made here: this test needs root (or sudo without a password), iproute2, and a kernel ' +
        `with network namespaces, veth, bridge and tbf (in a container: CAP_SYS_ADMIN and CAP_NET_ADMIN). ${error}`);
    }
    return network;
  }

  #make() {
    const fabric = this.#namespace('switch');
    ip('netns', 'add', fabric);
    ip('-n', fabric, 'link', 'add', 'bridge', 'type', 'bridge', 'stp_state', '0', 'forward_delay', '0');
    ip('-n', fabric, 'link', 'set', 'bridge', 'up');
    for (const host of this.hosts) {
      const namespace = this.#namespace(host);
      ip('netns', 'add', namespace);
      ip('-n', namespace, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', `to-${host}`, 'netns', fabric);
      ip('-n', namespace, 'link', 'set', 'lo', 'up');
      ip('-n', namespace, 'address', 'add', `${this.address(host)}/24`, 'dev', 'eth0');
      ip('-n', namespace, 'link', 'set', 'eth0', 'up');
      ip('-n', fabric, 'link', 'set', `to-${host}`, 'master', 'bridge', 'up');
    }
  }

  /** Namespaces that a run left behind which was killed. */
  static sweep() {
    if (!existsSync(directory)) return;
    for (const name of readdirSync(directory).filter((one) => one.startsWith(`${prefix}-`) && !alive(one))) {
      try {
        ip('netns', 'delete', name);
      } catch {
        // A run beside this one has just done so.
      }
    }
  }

  /** Ends what still runs in the namespaces, and removes them. */
  destroy() {
    for (const host of [...this.hosts, 'switch']) {
      const namespace = this.#namespace(host);
      if (!existsSync(`${directory}/${namespace}`)) continue;
      for (const pid of ip('netns', 'pids', namespace).split('\n').filter(Boolean)) {
        try {
          process.kill(Number(pid), 'SIGKILL');
        } catch {
          // Already gone.
        }
      }
      ip('netns', 'delete', namespace);
    }
  }

  /** The environment of a program that `Network.get` is for. */
  get environment() {
    return { [variable]: JSON.stringify({ name: this.name, hosts: this.hosts }) };
  }

  /** @param {string} host */
  #namespace(host) {
    return `${this.name}-${host}`;
  }

  /** The file of a host's namespace. @param {string} host */
  file(host) {
    return `${directory}/${this.#namespace(host)}`;
  }

  /** @param {string} host */
  address(host) {
    const at = this.hosts.indexOf(host);
    if (at < 0) throw new Error(`there is no host ${host}`);
    return `10.213.7.${at + 1}`;
  }

  /** The network of all hosts, for pg_hba.conf. */
  get range() {
    return '10.213.7.0/24';
  }

  // --- what goes wrong with networks ---

  /** Takes the host's cable out, at the switch: nobody is told, packets are lost both ways. @param {string} host */
  cut(host) {
    ip('-n', this.#namespace('switch'), 'link', 'set', `to-${host}`, 'down');
  }

  /** @param {string} host */
  mend(host) {
    ip('-n', this.#namespace('switch'), 'link', 'set', `to-${host}`, 'up');
  }

  /** What `host` sends to `other` is lost; what comes back is not. @param {string} host @param {string} other */
  swallow(host, other) {
    ip('-n', this.#namespace(host), 'route', 'add', 'blackhole', `${this.address(other)}/32`);
  }

  /** @param {string} host @param {string} other */
  unswallow(host, other) {
    ip('-n', this.#namespace(host), 'route', 'delete', 'blackhole', `${this.address(other)}/32`);
  }

  /** Bounds what the host can send. @param {string} host @param {string} rate such as 1mbit */
  narrow(host, rate) {
    ip('netns', 'exec', this.#namespace(host), 'tc', 'qdisc', 'replace', 'dev', 'eth0', 'root', 'tbf', 'rate', rate, 'burst', '16kb', 'latency', '200ms');
  }

  /** @param {string} host */
  widen(host) {
    ip('netns', 'exec', this.#namespace(host), 'tc', 'qdisc', 'delete', 'dev', 'eth0', 'root');
  }
}
