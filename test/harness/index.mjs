// The test harness: import from here.
export { canonicalJson, nullHash, parseExact, sha256 } from './canonical.mjs';
export { atExit } from './cleanup.mjs';
export { SyncClient } from './client.mjs';
export { Cluster, childrenOf } from './cluster.mjs';
export { Fanout } from './fanout.mjs';
export { fanoutBinary, pgBinDir, root, sanitized } from './paths.mjs';
export { RawSocket, RawTcp, clientFrame, upgradeRequest } from './raw.mjs';
export { Stand, range } from './stand.mjs';
export { KeyPairs, Keyring, sign, tokenClaims } from './token.mjs';
export { batchFromJson, batchFromProto, integer, microseconds, now } from './updates.mjs';
export { Hopeless, eventually, patienceMs, pause, waitFor, within } from './wait.mjs';
