// A broadcaster on the npm package ws: every line that comes on port + 1 goes to every WebSocket on port.
import net from 'node:net';
import { createInterface } from 'node:readline';
import { WebSocketServer } from 'ws';

const port = Number(process.argv[2]);
const server = new WebSocketServer({ host: '127.0.0.1', port, perMessageDeflate: false });
net.createServer((socket) => {
  createInterface({ input: socket }).on('line', (line) => {
    for (const client of server.clients) client.send(line);
  });
}).listen(port + 1, '127.0.0.1');
