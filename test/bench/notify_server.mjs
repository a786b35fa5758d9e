// What many applications do today: one process that LISTENs and sends every notification to every WebSocket.
// Started by the latency bench with the connection options of `pg` as its argument; prints its port.
import pg from 'pg';
import { WebSocket, WebSocketServer } from 'ws';

const db = new pg.Client(JSON.parse(/** @type {string} */ (process.argv[2])));
db.on('error', (error) => {
  console.error(`broadcaster: ${error.message}`);
  process.exit(1);
});
await db.connect();
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false, backlog: 4096 });
db.on('notification', ({ payload }) => {
  for (const client of server.clients) {
    if (client.readyState === WebSocket.OPEN) client.send(/** @type {string} */ (payload));
  }
});
const listening = new Promise((resolve) => void server.on('listening', resolve));
await db.query('LISTEN events');
await listening;
console.log(`listening ${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`);
