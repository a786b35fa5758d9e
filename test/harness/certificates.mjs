// Certificates for tests of TLS: an authority of their own, and what it signs.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { atExit } from './cleanup.mjs';

/** An authority with its files in a directory that goes at the end. */
export class Authority {
  constructor() {
    this.dir = mkdtempSync('/tmp/oa-sync-tls-');
    atExit(() => rmSync(this.dir, { recursive: true, force: true }));
    this.file = `${this.dir}/ca.pem`;
    this.#openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
      '-subj', '/CN=tests', '-keyout', `${this.dir}/ca.key`, '-out', this.file);
  }

  /** @param {...string} args */
  #openssl(...args) {
    execFileSync('openssl', args, { stdio: 'pipe' });
  }

  /**
   * A certificate for 127.0.0.1 and its key, as files.
   * @param {string} name the common name @param {string[]} [kind] of the key, for openssl req -newkey @returns {{cert: string, key: string}}
   */
  issue(name, kind = ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']) {
    const [cert, key, request] = [`${this.dir}/${name}.pem`, `${this.dir}/${name}.key`, `${this.dir}/${name}.csr`];
    this.#openssl('req', '-new', '-newkey', ...kind, '-nodes', '-subj', `/CN=${name}`,
      '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', request);
    this.#openssl('x509', '-req', '-in', request, '-CA', this.file, '-CAkey', `${this.dir}/ca.key`, '-CAcreateserial', '-days', '2',
      '-copy_extensions', 'copy', '-out', cert);
    return { cert, key };
  }
}
