// A disk that can be full: a tmpfs whose size is set to what is used.
import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, statfsSync } from 'node:fs';

const roomy = '2g';

export class Disk {
  /** Mounts it (root only). @param {string} path @param {{uid?: number, gid?: number}} account whose it is */
  constructor(path, { uid, gid }) {
    this.path = path;
    mkdirSync(path);
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${roomy},mode=700`, 'tmpfs', path]);
    if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid);
  }

  /** From here on nothing more fits. */
  fill() {
    // What is written between the two steps makes the second one fail.
    for (let attempts = 100; ; attempts--) {
      const { bsize, blocks, bfree } = statfsSync(this.path);
      try {
        return this.#resize(String((blocks - bfree) * bsize));
      } catch (error) {
        if (attempts === 0) throw error;
      }
    }
  }

  makeRoom() {
    this.#resize(roomy);
  }

  /** @param {string} size */
  #resize(size) {
    execFileSync('mount', ['-o', `remount,size=${size}`, this.path], { stdio: ['ignore', 'ignore', 'pipe'] });
  }

  remove() {
    execFileSync('umount', ['-l', this.path]);
  }
}
