// Restarts the primary from mongosh, whose scripts have Node's modules: mongosh --nodb restart.mongosh.js

const net = require("net");
const readline = require("readline");

const [, host, port] = process.env.DSI_SOCKET.match(/^\[?(.*?)\]?:(\d+)$/);
const connection = net.connect(Number(port), host);
const lines = readline.createInterface({input: connection})[Symbol.asyncIterator]();

async function ask(command) {
    connection.write(JSON.stringify(command) + "\n");
    const reply = JSON.parse((await lines.next()).value);
    if (reply.status_code !== 0) {
        throw new Error(`${reply.status}: ${reply.message}`);
    }
    return reply;
}

const members = connect(process.env.MONGODB_URL);
const primary = () => members.adminCommand({replSetGetStatus: 1}).members.find((member) => member.stateStr === "PRIMARY");

async function main() {
    if (process.env.DSI_SOCKET_TOKEN) {
        await ask({auth: process.env.DSI_SOCKET_TOKEN});
    }
    print("the primary is", primary().name);
    await ask({restart_mongodb: {nodes: ["rs0:primary"]}});
    print("after its restart it is", primary().name);
    connection.end();
}

main();
