// The official JavaScript client (@nats-io/transport-node) against a server binary: one function per behaviour.
//
// Usage: node suite.js SERVER_BINARY [server flags...]
//
// Every behaviour gets a server of its own on a free port of 127.0.0.1, so a server that dies fails one behaviour and
// not the rest. Prints `ok` or `FAIL` per behaviour and a total; exits 1 if anything failed. The suites of the other
// languages beside this one have the same behaviours under the same names.

import { spawn } from "node:child_process";
import { mkdtempSync, openSync, closeSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual, inspect } from "node:util";
import { AuthorizationError, NoRespondersError, connect, headers as newHeaders } from "@nats-io/transport-node";

const BEHAVIOUR_MS_MAX = 30_000;
const WAIT_MS_MAX = 10_000;
const FLOW_MESSAGES = 100_000;
const MIB = 1024 * 1024;

/** The server, or the client talking to it, did something else than promised. */
class Failure extends Error {}

function check(holds, what) {
  if (!holds) throw new Failure(what);
}

function checkEqual(seen, wanted, what) {
  if (!isDeepStrictEqual(seen, wanted)) {
    const show = (value) => inspect(value, { breakLength: Infinity }).slice(0, 200);
    throw new Failure(`${what}: wanted ${show(wanted)}, saw ${show(seen)}`);
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const numbers = (count) => Array.from({ length: count }, (_, number) => String(number));

function within(promise, what, ms = WAIT_MS_MAX) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Failure(`not within ${ms} ms: ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function eventually(holds, what, ms = WAIT_MS_MAX) {
  const deadline = performance.now() + ms;
  while (!holds()) {
    if (performance.now() > deadline) {
      throw new Failure(`not within ${ms} ms: ${typeof what === "function" ? what() : what}`);
    }
    await pause(2);
  }
}

/** Servers that run now. They must not outlive this program, however it ends. */
const running = new Set();
process.on("exit", () => running.forEach((server) => server.kill("SIGKILL")));
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

/** One server process on loopback; it can be killed and started again on the same port. */
class Server {
  constructor(command, flags) {
    this.directory = mkdtempSync(join(tmpdir(), "trunkline-clients-"));
    this.logPath = join(this.directory, "log");
    this.log = openSync(this.logPath, "a");
    this.command = [...command, ...flags];
    this.port = -1;
  }

  async start() {
    const where = ["-a", "127.0.0.1", "-p", String(this.port), "--ports_file_dir", this.directory];
    const [program, ...flags] = this.command;
    this.process = spawn(program, [...flags, ...where], { stdio: ["ignore", this.log, this.log] });
    const process = this.process;
    running.add(process);
    process.once("exit", () => running.delete(process));
    this.ended = new Promise((resolve) => {
      this.process.once("exit", resolve);
      this.process.once("error", resolve);
    });
    const suffix = `_${this.process.pid}.ports`;
    const deadline = performance.now() + WAIT_MS_MAX;
    while (performance.now() < deadline) {
      if (!this.alive()) throw new Failure(`the server ended at start: ${this.logTail()}`);
      const name = readdirSync(this.directory).find((name) => name.endsWith(suffix));
      try {
        // The file may be there and not yet be written.
        const ports = JSON.parse(readFileSync(join(this.directory, name ?? "none"), "utf8"));
        this.port = Number(ports.nats[0].split(":").at(-1));
        return;
      } catch {
        await pause(5);
      }
    }
    throw new Failure(`no ports file after ${WAIT_MS_MAX} ms: ${this.logTail()}`);
  }

  alive() {
    return this.process.pid !== undefined && this.process.exitCode === null && this.process.signalCode === null;
  }

  async kill() {
    if (this.alive()) this.process.kill("SIGKILL");
    await this.ended;
  }

  async close() {
    await this.kill();
    closeSync(this.log);
    rmSync(this.directory, { recursive: true });
  }

  logTail() {
    return readFileSync(this.logPath, "utf8").slice(-800).trim() || "(its log is empty)";
  }
}

/** What a behaviour works with: servers to start, connections that are closed for it at the end. */
class Bench {
  constructor(command) {
    this.command = command;
    this.servers = [];
    this.connections = [];
  }

  async server({ flags = [] } = {}) {
    const server = new Server(this.command, flags);
    this.servers.push(server);
    await server.start();
    return server;
  }

  async connect(server, options = {}) {
    const connection = await connect({
      servers: `127.0.0.1:${server.port}`,
      reconnect: false,
      timeout: 5000,
      ...options,
    });
    this.connections.push(connection);
    return connection;
  }

  async close() {
    for (const connection of this.connections) {
      // The behaviour has been judged by now.
      await within(connection.close(), "close", 2000).catch(() => {});
    }
    for (const server of this.servers) await server.close();
  }
}

/** A subscription that collects what it gets. */
function collect(connection, subject, options = {}) {
  const seen = [];
  const subscription = connection.subscribe(subject, {
    ...options,
    callback: (error, message) => seen.push(error ? `error: ${error}` : message),
  });
  return {
    subscription,
    seen,
    strings: () => seen.map((message) => message.string()),
    async count(count, what) {
      await eventually(() => seen.length >= count, () => `${what}: ${count} messages; ${seen.length} so far`);
    },
  };
}

/** Follows the status of a connection; `seen(type)` resolves once it was told. */
function follow(connection) {
  const told = [];
  (async () => {
    for await (const status of connection.status()) told.push(status.type);
  })();
  return { told, seen: (type) => eventually(() => told.includes(type), () => `status ${type}; told: ${told}`) };
}

async function roundTrip(connection) {
  const own = collect(connection, "round.trip");
  connection.publish("round.trip", "there and back");
  await own.count(1, "a round trip");
  checkEqual(own.strings(), ["there and back"], "a round trip");
}

async function nobodyAnswers(connection, subject) {
  const started = performance.now();
  try {
    await connection.request(subject, "?", { timeout: 5000 });
  } catch (error) {
    const none = error instanceof NoRespondersError || error.cause instanceof NoRespondersError;
    check(none, `no responders is told, not ${error}`);
    check(performance.now() - started < 2000, "the answer comes at once, not at the time-out");
    return;
  }
  throw new Failure("a request to nobody was answered");
}

async function pub_sub(bench) {
  const server = await bench.server();
  const subscribers = [];
  for (let number = 0; number < 4; number++) {
    const connection = await bench.connect(server);
    subscribers.push(collect(connection, "greet.all"));
    await connection.flush();
  }
  const publishers = [await bench.connect(server), await bench.connect(server)];
  for (const connection of publishers) {
    for (const number of numbers(50)) connection.publish("greet.all", number);
    connection.publish("greet.nobody", "unheard");
    await connection.flush();
  }
  for (const subscriber of subscribers) await subscriber.count(100, "a subscription");
  // A connection hears itself unless it asked not to.
  const own = collect(publishers[0], "echo");
  publishers[0].publish("echo");
  await own.count(1, "an empty message to oneself");
  checkEqual(own.strings(), [""], "an empty message to oneself");
  const deaf = await bench.connect(server, { noEcho: true });
  const nothing = collect(deaf, "echo");
  deaf.publish("echo", "mine");
  await deaf.flush();
  await pause(100);
  checkEqual(nothing.seen.length, 0, "messages to a connection without echo");
  const wanted = [...numbers(50), ...numbers(50)].sort();
  for (const subscriber of subscribers) checkEqual(subscriber.strings().sort(), wanted, "what one subscription got");
}

async function wildcards(bench) {
  const server = await bench.server();
  const subscriber = await bench.connect(server);
  const publisher = await bench.connect(server);
  const wanted = {
    "a.*": ["a.b"],
    "a.*.c": ["a.b.c", "a.x.c"],
    "*.b.*": ["a.b.c"],
    "a.>": ["a.b", "a.b.c", "a.x.c", "a.b.c.d"],
    ">": ["a", "a.b", "a.b.c", "a.x.c", "a.b.c.d", "b"],
    "*": ["a", "b"],
    "a.b": ["a.b"],
  };
  const collected = Object.keys(wanted).map((pattern) => [pattern, collect(subscriber, pattern)]);
  await subscriber.flush();
  for (const subject of wanted[">"]) publisher.publish(subject);
  await publisher.flush();
  for (const [pattern, own] of collected) await own.count(wanted[pattern].length, pattern);
  await pause(100);
  for (const [pattern, own] of collected) {
    checkEqual(own.seen.map((message) => message.subject), wanted[pattern], `subjects that matched ${pattern}`);
  }
}

async function queue_groups(bench) {
  const server = await bench.server();
  const members = [];
  for (let number = 0; number < 6; number++) {
    const connection = await bench.connect(server);
    members.push(collect(connection, "work.*", { queue: "crew" }));
    if (number === 0) members.push(collect(connection, "work.*", { queue: "crew" }));
    await connection.flush();
  }
  const beside = await bench.connect(server);
  const watcher = collect(beside, "work.>");
  const second = collect(beside, "work.now", { queue: "second-crew" });
  await beside.flush();
  const wanted = [];
  for (let batch = 0; batch < 3; batch++) {
    const publisher = await bench.connect(server);
    for (const number of numbers(1000)) {
      wanted.push(`${batch}.${number}`);
      publisher.publish("work.now", `${batch}.${number}`);
    }
    await publisher.flush();
  }
  const all = () => members.flatMap((member) => member.strings());
  await eventually(() => all().length >= 3000, () => `3000 messages in the group; ${all().length} so far`);
  await watcher.count(3000, "the subscription outside the group");
  await second.count(3000, "the second group");
  await pause(100);
  wanted.sort();
  checkEqual(all().length, 3000, "messages in the group");
  check(isDeepStrictEqual(all().sort(), wanted), "each message once in the group");
  check(isDeepStrictEqual(watcher.strings().sort(), wanted), "each message once outside the group");
  check(isDeepStrictEqual(second.strings().sort(), wanted), "each message once in the second group");
  check(members.every((member) => member.seen.length > 0), "every member gets a share");
}

async function request_reply(bench) {
  const server = await bench.server();
  const service = await bench.connect(server);
  const asker = await bench.connect(server);
  service.subscribe("shout", { callback: (_, message) => message.respond(message.string().toUpperCase()) });
  await service.flush();
  for (const word of ["one", "two", ""]) {
    const reply = await asker.request("shout", word, { timeout: 5000 });
    checkEqual(reply.string(), word.toUpperCase(), "the reply");
  }
  const reply = await asker.request("shout", "old", { timeout: 5000, noMux: true });
  checkEqual(reply.string(), "OLD", "the reply on an inbox of its own");
}

async function requests_1000_at_once(bench) {
  const server = await bench.server();
  for (let number = 0; number < 3; number++) {
    const service = await bench.connect(server);
    service.subscribe("echo", { queue: "echoes", callback: (_, message) => message.respond(`re:${message.string()}`) });
    await service.flush();
  }
  const askers = [await bench.connect(server), await bench.connect(server)];
  const asked = numbers(1000);
  const replies = await Promise.all(
    asked.map(async (number) => (await askers[number % 2].request("echo", number, { timeout: 15_000 })).string()),
  );
  checkEqual(replies, asked.map((number) => `re:${number}`), "the replies");
}

async function no_responders(bench) {
  const server = await bench.server();
  const asker = await bench.connect(server);
  await nobodyAnswers(asker, "nobody.home");
  // Interest that has gone is no interest, also when it was on another connection.
  const service = await bench.connect(server);
  const subscription = service.subscribe("nobody.home");
  await service.flush();
  subscription.unsubscribe();
  await service.flush();
  await nobodyAnswers(asker, "nobody.home");
}

async function headers(bench) {
  const server = await bench.server();
  const subscriber = await bench.connect(server);
  const publisher = await bench.connect(server);
  const own = collect(subscriber, "with.headers");
  await subscriber.flush();
  const sent = newHeaders();
  sent.set("Trace-Id", "4711");
  sent.append("Colour", "blue: and: green");
  sent.append("Colour", "red");
  publisher.publish("with.headers", "body", { headers: sent });
  const only = newHeaders();
  only.set("Only", "headers");
  publisher.publish("with.headers", "", { headers: only });
  publisher.publish("with.headers", "plain");
  await own.count(3, "messages with headers");
  const [first, second, third] = own.seen;
  checkEqual(first.headers.get("Trace-Id"), "4711", "a header");
  checkEqual(first.headers.values("Colour"), ["blue: and: green", "red"], "a header with two values");
  checkEqual(first.string(), "body", "the body beside headers");
  checkEqual([second.headers.get("Only"), second.string()], ["headers", ""], "headers alone");
  checkEqual([third.headers, third.string()], [undefined, "plain"], "no headers");
}

async function auto_unsubscribe(bench) {
  const server = await bench.server();
  const subscriber = await bench.connect(server);
  const publisher = await bench.connect(server);
  const own = collect(subscriber, "limited", { max: 5 });
  await subscriber.flush();
  for (const number of numbers(10)) publisher.publish("limited", number);
  await publisher.flush();
  await own.count(5, "the first five");
  await subscriber.flush();
  checkEqual(own.strings(), numbers(5), "the first five");
  // The server has forgotten the subscription.
  await nobodyAnswers(publisher, "limited");
}

async function drain(bench) {
  const server = await bench.server();
  const subscriber = await bench.connect(server);
  const publisher = await bench.connect(server);
  const seen = [];
  const subscription = subscriber.subscribe("stream");
  const reading = (async () => {
    for await (const message of subscription) {
      seen.push(message.string());
      if (seen.length % 100 === 0) await pause(10);
    }
  })();
  await subscriber.flush();
  for (const number of numbers(2000)) publisher.publish("stream", number);
  await publisher.flush();
  await subscriber.drain();
  await within(reading, "the subscription ends");
  check(subscriber.isClosed(), "a drained connection is closed");
  checkEqual(seen.length, 2000, "messages handled");
  checkEqual(seen, numbers(2000), "messages in order");
  // What is published just before a drain is delivered too.
  const reader = await bench.connect(server);
  const own = collect(reader, "last.words");
  await reader.flush();
  for (const number of numbers(500)) publisher.publish("last.words", number);
  await publisher.drain();
  await own.count(500, "the last words");
  checkEqual(own.strings(), numbers(500), "the last words");
}

const RECONNECT = { reconnect: true, reconnectTimeWait: 50, reconnectJitter: 0, maxReconnectAttempts: -1 };

async function reconnect(bench) {
  const server = await bench.server();
  const subscriber = await bench.connect(server, RECONNECT);
  const publisher = await bench.connect(server, RECONNECT);
  const statuses = [follow(subscriber), follow(publisher)];
  const collected = [collect(subscriber, "news.*"), collect(subscriber, "news.local", { queue: "desk" })];
  await subscriber.flush();
  publisher.publish("news.local", "before");
  await publisher.flush();
  for (const own of collected) await own.count(1, "before the restart");
  await server.kill();
  for (const status of statuses) await status.seen("disconnect");
  await server.start();
  for (const status of statuses) await status.seen("reconnect");
  await subscriber.flush();
  for (const number of numbers(100)) publisher.publish("news.local", number);
  await publisher.flush();
  for (const own of collected) {
    await own.count(101, "after the restart");
    checkEqual(own.strings(), ["before", ...numbers(100)], "all messages");
  }
}

async function refused(bench, server, options) {
  try {
    await bench.connect(server, options);
  } catch (error) {
    check(error instanceof AuthorizationError, `the reason is told, not ${error}`);
    return;
  }
  throw new Failure(`accepted with ${inspect(options)}`);
}

async function user_and_password(bench) {
  const server = await bench.server({ flags: ["--user", "alice", "--pass", "s3cret"] });
  await roundTrip(await bench.connect(server, { user: "alice", pass: "s3cret" }));
  await refused(bench, server, { user: "alice", pass: "wrong" });
  await refused(bench, server, { user: "bob", pass: "s3cret" });
  await refused(bench, server, { token: "s3cret" });
  await refused(bench, server, {});
}

async function token(bench) {
  const server = await bench.server({ flags: ["--auth", "t0ken"] });
  await roundTrip(await bench.connect(server, { token: "t0ken" }));
  await refused(bench, server, { token: "wrong" });
  await refused(bench, server, {});
}

async function large_payload(bench) {
  const server = await bench.server();
  const subscriber = await bench.connect(server);
  const publisher = await bench.connect(server);
  const own = collect(subscriber, "large");
  await subscriber.flush();
  const blocks = numbers(8).map((number) => Buffer.alloc(MIB, `${number}, a block that repeats itself; `));
  for (const block of blocks) publisher.publish("large", block);
  await publisher.flush();
  await own.count(8, "payloads of 1 MiB");
  own.seen.forEach((message, number) => {
    check(blocks[number].equals(message.data), `payload ${number} of 1 MiB arrives whole`);
  });
}

async function over_large_payload(bench) {
  const server = await bench.server();
  const publisher = await bench.connect(server);
  const bystander = await bench.connect(server);
  checkEqual(publisher.info.max_payload, MIB, "the limit the server tells");
  const tooLarge = new Uint8Array(MIB + 1);
  let told;
  try {
    publisher.publish("large", tooLarge);
  } catch (error) {
    told = error;
  }
  check(/max_payload/.test(told?.message), `the client refuses, not: ${told}`);
  // A client that does not care about the limit is disconnected. (It is also told why, but a close with bytes unread
  // resets the connection, and the reset may overtake the reason.)
  publisher.info.max_payload = 2 * MIB;
  publisher.publish("large", tooLarge);
  await within(publisher.closed(), "the server closes the connection");
  await roundTrip(bystander);
}

async function flow_in_order(bench) {
  const server = await bench.server();
  const subscriber = await bench.connect(server);
  const publisher = await bench.connect(server);
  const seen = [];
  subscriber.subscribe("flow", { callback: (_, message) => seen.push(message.string()) });
  await subscriber.flush();
  const sent = numbers(FLOW_MESSAGES);
  for (const [index, number] of sent.entries()) {
    publisher.publish("flow", number);
    if (index % 5000 === 0) await publisher.flush();
  }
  await publisher.flush();
  await eventually(() => seen.length >= FLOW_MESSAGES, () => `all messages; ${seen.length} so far`, 20_000);
  check(isDeepStrictEqual(seen, sent), "all messages in order, each once");
}

async function lame_duck(bench) {
  const server = await bench.server({ flags: process.env.LAME_DUCK_FLAGS.split(" ") });
  const connection = await bench.connect(server, RECONNECT);
  const status = follow(connection);
  const own = collect(connection, "still.here");
  await connection.flush();
  server.process.kill("SIGUSR2");
  await status.seen("ldm");
  check(!status.told.includes("disconnect"), "the notice comes before the connection is closed");
  connection.publish("still.here", "yes");
  await own.count(1, "a message in the grace period");
  await status.seen("disconnect");
  await within(server.ended, "the server ends by itself");
  await server.start();
  await status.seen("reconnect");
  connection.publish("still.here", "again");
  await own.count(2, "a message after the change of servers");
  checkEqual(own.strings(), ["yes", "again"], "the messages");
}

const BEHAVIOURS = [
  pub_sub,
  wildcards,
  queue_groups,
  request_reply,
  requests_1000_at_once,
  no_responders,
  headers,
  auto_unsubscribe,
  drain,
  reconnect,
  user_and_password,
  token,
  large_payload,
  over_large_payload,
  flow_in_order,
  lame_duck,
];

/** Runs one behaviour; gives the reason of its failure, or undefined. */
async function run(behaviour, command) {
  const bench = new Bench(command);
  try {
    await within(behaviour(bench), behaviour.name, BEHAVIOUR_MS_MAX);
    for (const server of bench.servers) check(server.alive(), "the server died");
    return undefined;
  } catch (error) {
    const logs = bench.servers.map((server) => server.logTail()).join("\n");
    return `${error instanceof Failure ? error.message : error.stack}\n${logs}`;
  } finally {
    await bench.close();
  }
}

const command = process.argv.slice(2);
if (command.length === 0) {
  console.error("usage: node suite.js SERVER_BINARY [server flags...]");
  process.exit(2);
}
let failed = 0;
for (const behaviour of BEHAVIOURS) {
  const started = performance.now();
  const reason = await run(behaviour, command);
  const took = `${((performance.now() - started) / 1000).toFixed(2)} s`;
  if (reason === undefined) {
    console.log(`ok   node    ${behaviour.name} (${took})`);
  } else {
    failed++;
    console.log(`FAIL node    ${behaviour.name} (${took}): ${reason}`);
  }
}
console.log(`node: ${BEHAVIOURS.length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
