"""The official Python client (nats-py) against a server binary: one function per behaviour.

Usage: suite.py SERVER_BINARY [server flags...]

Every behaviour gets a server of its own on a free port of 127.0.0.1, so a server that dies fails one behaviour and not
the rest. Prints `ok` or `FAIL` per behaviour and a total; exits 1 if anything failed. The suites of the other languages
beside this one have the same behaviours under the same names.
"""

import asyncio
import glob
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter

import nats
from nats import errors

BEHAVIOUR_SECONDS_MAX = 30
WAIT_SECONDS_MAX = 10
FLOW_MESSAGES = 100_000
MIB = 1024 * 1024


class Failure(Exception):
    """The server, or the client talking to it, did something else than promised."""


def check(holds, what):
    if not holds:
        raise Failure(what)


def check_equal(seen, wanted, what):
    if seen != wanted:
        raise Failure(f"{what}: wanted {wanted!r:.200}, saw {seen!r:.200}")


class Server:
    """One server process on loopback; it can be killed and started again on the same port."""

    def __init__(self, command, flags=()):
        self.directory = tempfile.TemporaryDirectory(prefix="trunkline-clients-")
        self.command = [*command, *flags]
        self.process = None
        self.port = -1
        self.log = open(os.path.join(self.directory.name, "log"), "w+")
        self.start()

    def start(self):
        where = ["-a", "127.0.0.1", "-p", str(self.port), "--ports_file_dir", self.directory.name]
        self.process = subprocess.Popen(
            [*self.command, *where], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )
        pattern = os.path.join(self.directory.name, f"*_{self.process.pid}.ports")
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Failure(f"the server ended at start (status {self.process.returncode}): {self.log_tail()}")
            # The file may be there and not yet be written.
            for path in glob.glob(pattern):
                with open(path) as file:
                    text = file.read()
                try:
                    self.port = int(json.loads(text)["nats"][0].rsplit(":", 1)[1])
                    return
                except ValueError:
                    pass
            time.sleep(0.005)
        raise Failure(f"no ports file after {WAIT_SECONDS_MAX} s: {self.log_tail()}")

    @property
    def url(self):
        return f"nats://127.0.0.1:{self.port}"

    def alive(self):
        return self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def close(self):
        self.kill()
        self.log.close()
        self.directory.cleanup()

    def log_tail(self):
        self.log.seek(0)
        return self.log.read()[-800:].strip() or "(its log is empty)"


class Bench:
    """What a behaviour works with: servers to start, connections that are closed for it at the end."""

    def __init__(self, command):
        self.command = command
        self.servers = []
        self.connections = []

    def server(self, *flags):
        server = Server(self.command, flags)
        self.servers.append(server)
        return server

    async def connect(self, server, **options):
        options.setdefault("allow_reconnect", False)
        options.setdefault("connect_timeout", 5)
        # The client prints what no callback takes; that would only litter the report.
        options.setdefault("error_cb", ignore)
        connection = await nats.connect(server.url, **options)
        self.connections.append(connection)
        return connection

    async def close(self):
        for connection in self.connections:
            try:
                await asyncio.wait_for(connection.close(), 2)
            except Exception:  # The behaviour has been judged by now.
                pass
        for server in self.servers:
            server.close()


async def ignore(_error):
    pass


async def flush(connection):
    """Waits until the server has seen all that was sent so far.

    Twice, because this client writes the PING of a flush ahead of the commands that its flusher task still holds: the
    first PONG only says that they are on their way.
    """
    await connection.flush()
    await connection.flush()


async def eventually(holds, what, seconds=WAIT_SECONDS_MAX):
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise Failure(f"not within {seconds} s: {what() if callable(what) else what}")
        await asyncio.sleep(0.002)


async def payloads(subscription, count):
    return [(await subscription.next_msg(timeout=WAIT_SECONDS_MAX)).data for _ in range(count)]


async def nothing_more(subscription, what):
    try:
        message = await subscription.next_msg(timeout=0.1)
    except errors.TimeoutError:
        return
    raise Failure(f"{what}: one message too many, on {message.subject}")


async def pub_sub(bench):
    server = bench.server()
    subscribers = [await bench.connect(server) for _ in range(4)]
    publishers = [await bench.connect(server) for _ in range(2)]
    subscriptions = []
    for connection in subscribers:
        subscriptions.append(await connection.subscribe("greet.all"))
        await flush(connection)
    for connection in publishers:
        for number in range(50):
            await connection.publish("greet.all", b"%d" % number)
        await connection.publish("greet.nobody", b"unheard")
        await flush(connection)
    for subscription in subscriptions:
        check_equal(
            Counter(await payloads(subscription, 100)),
            Counter({b"%d" % number: 2 for number in range(50)}),
            "what one subscription got",
        )
        await nothing_more(subscription, "a subscription")
    # A connection hears itself unless it asked not to.
    own = await publishers[0].subscribe("echo")
    await publishers[0].publish("echo", b"")
    check_equal(await payloads(own, 1), [b""], "an empty message to oneself")
    deaf = await bench.connect(server, no_echo=True)
    own = await deaf.subscribe("echo")
    await deaf.publish("echo", b"mine")
    await flush(deaf)
    await nothing_more(own, "a connection without echo")


async def wildcards(bench):
    server = bench.server()
    subscriber = await bench.connect(server)
    publisher = await bench.connect(server)
    wanted = {
        "a.*": ["a.b"],
        "a.*.c": ["a.b.c", "a.x.c"],
        "*.b.*": ["a.b.c"],
        "a.>": ["a.b", "a.b.c", "a.x.c", "a.b.c.d"],
        ">": ["a", "a.b", "a.b.c", "a.x.c", "a.b.c.d", "b"],
        "*": ["a", "b"],
        "a.b": ["a.b"],
    }
    subscriptions = {pattern: await subscriber.subscribe(pattern) for pattern in wanted}
    await flush(subscriber)
    for subject in wanted[">"]:
        await publisher.publish(subject, b"")
    await flush(publisher)
    for pattern, subjects in wanted.items():
        subscription = subscriptions[pattern]
        seen = [(await subscription.next_msg(timeout=WAIT_SECONDS_MAX)).subject for _ in subjects]
        check_equal(seen, subjects, f"subjects that matched {pattern}")
        await nothing_more(subscription, pattern)


async def queue_groups(bench):
    server = bench.server()
    seen = Counter()
    members = []
    everything = Counter()

    for number in range(6):
        connection = await bench.connect(server)
        member = Counter()
        members.append(member)

        async def take(message, member=member):
            seen[message.data] += 1
            member[message.data] += 1

        for _ in range(2 if number == 0 else 1):
            await connection.subscribe("work.*", queue="crew", cb=take)
        await flush(connection)

    async def watch(message):
        everything[message.data] += 1

    watcher = await bench.connect(server)
    await watcher.subscribe("work.>", cb=watch)
    other = await watcher.subscribe("work.now", queue="second-crew")
    await flush(watcher)

    for batch in range(3):
        publisher = await bench.connect(server)
        for number in range(1000):
            await publisher.publish("work.now", b"%d.%d" % (batch, number))
        await flush(publisher)
    wanted = Counter({b"%d.%d" % (batch, number): 1 for batch in range(3) for number in range(1000)})
    await eventually(
        lambda: seen.total() >= 3000 and everything.total() >= 3000,
        lambda: f"3000 messages in the group and beside it; {seen.total()} and {everything.total()} so far",
    )
    check_equal(len(await payloads(other, 3000)), 3000, "messages in the second group")
    await asyncio.sleep(0.1)
    check(seen == wanted, f"each message once in the group: {(seen - wanted).total()} extra, {(wanted - seen).total()} lost")
    check(everything == wanted, "each message once for the subscription outside the group")
    check(all(member.total() > 0 for member in members), "every member gets a share")


async def request_reply(bench):
    server = bench.server()
    service = await bench.connect(server)
    asker = await bench.connect(server)

    async def answer(message):
        await message.respond(message.data.upper())

    await service.subscribe("shout", cb=answer)
    await flush(service)
    for word in (b"one", b"two", b""):
        check_equal((await asker.request("shout", word, timeout=5)).data, word.upper(), "the reply")
    check_equal((await asker.request("shout", b"old", timeout=5, old_style=True)).data, b"OLD", "the old-style reply")


async def requests_1000_at_once(bench):
    server = bench.server()
    for _ in range(3):
        service = await bench.connect(server)

        async def answer(message):
            await message.respond(b"re:" + message.data)

        await service.subscribe("echo", queue="echoes", cb=answer)
        await flush(service)
    askers = [await bench.connect(server) for _ in range(2)]

    async def ask(number):
        return (await askers[number % 2].request("echo", b"%d" % number, timeout=15)).data

    replies = await asyncio.gather(*(ask(number) for number in range(1000)))
    check_equal(replies, [b"re:%d" % number for number in range(1000)], "the replies")


async def no_responders(bench):
    server = bench.server()
    asker = await bench.connect(server)
    started = time.monotonic()
    try:
        await asker.request("nobody.home", b"?", timeout=5)
    except errors.NoRespondersError:
        check(time.monotonic() - started < 2, "the answer comes at once, not at the time-out")
    else:
        raise Failure("a request to nobody was answered")
    # Interest that has gone is no interest, also when it was on another connection.
    service = await bench.connect(server)
    subscription = await service.subscribe("nobody.home")
    await flush(service)
    await subscription.unsubscribe()
    await flush(service)
    try:
        await asker.request("nobody.home", b"?", timeout=5)
    except errors.NoRespondersError:
        return
    raise Failure("a request to a subscription that has gone was answered")


async def headers(bench):
    server = bench.server()
    subscriber = await bench.connect(server)
    publisher = await bench.connect(server)
    subscription = await subscriber.subscribe("with.headers")
    await flush(subscriber)
    sent = {"Trace-Id": "4711", "Colour": "blue: and: green", "Empty": ""}
    await publisher.publish("with.headers", b"body", headers=sent)
    await publisher.publish("with.headers", b"", headers={"Only": "headers"})
    await publisher.publish("with.headers", b"plain")
    first = await subscription.next_msg(timeout=WAIT_SECONDS_MAX)
    check_equal((first.headers, first.data), (sent, b"body"), "headers and body")
    second = await subscription.next_msg(timeout=WAIT_SECONDS_MAX)
    check_equal((second.headers, second.data), ({"Only": "headers"}, b""), "headers alone")
    third = await subscription.next_msg(timeout=WAIT_SECONDS_MAX)
    check_equal((third.headers, third.data), (None, b"plain"), "no headers")


async def auto_unsubscribe(bench):
    server = bench.server()
    subscriber = await bench.connect(server)
    publisher = await bench.connect(server)
    subscription = await subscriber.subscribe("limited")
    await subscription.unsubscribe(limit=5)
    await flush(subscriber)
    for number in range(10):
        await publisher.publish("limited", b"%d" % number)
    await flush(publisher)
    check_equal(await payloads(subscription, 5), [b"%d" % number for number in range(5)], "the first five")
    await flush(subscriber)
    # The server has forgotten the subscription: a request finds nobody.
    try:
        await publisher.request("limited", b"?", timeout=5)
    except errors.NoRespondersError:
        return
    raise Failure("the server still knows a subscription that has had its messages")


async def drain(bench):
    server = bench.server()
    subscriber = await bench.connect(server)
    publisher = await bench.connect(server)
    seen = []

    async def slow(message):
        seen.append(message.data)
        if len(seen) % 100 == 0:
            await asyncio.sleep(0.01)

    await subscriber.subscribe("stream", cb=slow)
    await flush(subscriber)
    for number in range(2000):
        await publisher.publish("stream", b"%d" % number)
    await flush(publisher)
    await subscriber.drain()
    check(subscriber.is_closed, "a drained connection is closed")
    check_equal(len(seen), 2000, "messages handled before the close")
    check_equal(seen, [b"%d" % number for number in range(2000)], "messages in order")
    # What is published just before a drain is delivered too.
    reader = await bench.connect(server)
    subscription = await reader.subscribe("last.words")
    await flush(reader)
    for number in range(500):
        await publisher.publish("last.words", b"%d" % number)
    await publisher.drain()
    check_equal(await payloads(subscription, 500), [b"%d" % number for number in range(500)], "the last words")


async def reconnect(bench):
    server = bench.server()
    disconnected, reconnected = asyncio.Event(), asyncio.Event()

    async def on_disconnect():
        disconnected.set()

    async def on_reconnect():
        reconnected.set()

    options = dict(allow_reconnect=True, reconnect_time_wait=0.05, max_reconnect_attempts=-1)
    subscriber = await bench.connect(
        server, disconnected_cb=on_disconnect, reconnected_cb=on_reconnect, **options
    )
    publisher = await bench.connect(server, **options)
    subscriptions = [
        await subscriber.subscribe("news.*"),
        await subscriber.subscribe("news.local", queue="desk"),
    ]
    await flush(subscriber)
    await publisher.publish("news.local", b"before")
    await flush(publisher)
    for subscription in subscriptions:
        check_equal(await payloads(subscription, 1), [b"before"], "before the restart")
    server.kill()
    await asyncio.wait_for(disconnected.wait(), WAIT_SECONDS_MAX)
    server.start()
    await asyncio.wait_for(reconnected.wait(), WAIT_SECONDS_MAX)
    await eventually(lambda: publisher.is_connected, "the publisher is back")
    await flush(subscriber)
    for number in range(100):
        await publisher.publish("news.local", b"%d" % number)
    await flush(publisher)
    for subscription in subscriptions:
        check_equal(await payloads(subscription, 100), [b"%d" % number for number in range(100)], "after the restart")


async def round_trip(connection):
    subscription = await connection.subscribe("round.trip")
    await connection.publish("round.trip", b"there and back")
    check_equal(await payloads(subscription, 1), [b"there and back"], "a round trip")


async def refused(bench, server, **options):
    try:
        await bench.connect(server, **options)
    except (errors.Error, OSError) as error:
        told = str(error).lower()
        check("authorization violation" in told, f"the reason is told, not {told!r}")
        return
    raise Failure(f"accepted with {options}")


async def user_and_password(bench):
    server = bench.server("--user", "alice", "--pass", "s3cret")
    await round_trip(await bench.connect(server, user="alice", password="s3cret"))
    await refused(bench, server, user="alice", password="wrong")
    await refused(bench, server, user="bob", password="s3cret")
    await refused(bench, server, token="s3cret")
    await refused(bench, server)


async def token(bench):
    server = bench.server("--auth", "t0ken")
    await round_trip(await bench.connect(server, token="t0ken"))
    await refused(bench, server, token="wrong")
    await refused(bench, server)


async def large_payload(bench):
    server = bench.server()
    subscriber = await bench.connect(server)
    publisher = await bench.connect(server)
    subscription = await subscriber.subscribe("large")
    await flush(subscriber)
    block = bytes(range(256)) * (MIB // 256)
    for number in range(8):
        await publisher.publish("large", block[number:] + block[:number])
    await flush(publisher)
    for number, data in enumerate(await payloads(subscription, 8)):
        check(data == block[number:] + block[:number], f"payload {number} of 1 MiB arrives whole")


async def over_large_payload(bench):
    server = bench.server()
    publisher = await bench.connect(server)
    bystander = await bench.connect(server)
    check_equal(publisher.max_payload, MIB, "the limit the server tells")
    try:
        await publisher.publish("large", bytes(MIB + 1))
    except errors.MaxPayloadError:
        pass
    else:
        raise Failure("the client sent more than the limit")
    # A client that does not care about the limit is disconnected. (It is also told why, but a close with bytes unread
    # resets the connection, and the reset may overtake the reason.)
    publisher._max_payload = 2 * MIB
    await publisher.publish("large", bytes(MIB + 1))
    await eventually(lambda: publisher.is_closed, "the server closes the connection")
    await round_trip(bystander)


async def flow_in_order(bench):
    server = bench.server()
    subscriber = await bench.connect(server)
    publisher = await bench.connect(server)
    seen = []

    async def take(message):
        seen.append(int(message.data))

    await subscriber.subscribe("flow", cb=take, pending_msgs_limit=-1, pending_bytes_limit=-1)
    await flush(subscriber)
    for number in range(FLOW_MESSAGES):
        await publisher.publish("flow", b"%d" % number)
        if number % 5000 == 0:
            await flush(publisher)
    await flush(publisher)
    await eventually(lambda: len(seen) >= FLOW_MESSAGES, lambda: f"all messages; {len(seen)} so far", 20)
    check(seen == list(range(FLOW_MESSAGES)), "all messages in order, each once")


async def lame_duck(bench):
    server = bench.server(*os.environ["LAME_DUCK_FLAGS"].split())
    told, disconnected = asyncio.Event(), asyncio.Event()

    async def on_lame_duck():
        told.set()

    async def on_disconnect():
        disconnected.set()

    connection = await bench.connect(
        server,
        allow_reconnect=True,
        reconnect_time_wait=0.05,
        max_reconnect_attempts=-1,
        lame_duck_mode_cb=on_lame_duck,
        disconnected_cb=on_disconnect,
    )
    subscription = await connection.subscribe("still.here")
    await flush(connection)
    server.signal(signal.SIGUSR2)
    await asyncio.wait_for(told.wait(), WAIT_SECONDS_MAX)
    check(not disconnected.is_set(), "the notice comes before the connection is closed")
    await connection.publish("still.here", b"yes")
    check_equal(await payloads(subscription, 1), [b"yes"], "a message in the grace period")
    await asyncio.wait_for(disconnected.wait(), WAIT_SECONDS_MAX)
    await eventually(lambda: not server.alive(), "the server ends by itself")
    server.start()
    await eventually(lambda: connection.is_connected, "the client is back on the next server")
    await connection.publish("still.here", b"again")
    check_equal(await payloads(subscription, 1), [b"again"], "a message after the change of servers")


BEHAVIOURS = [
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
]


async def run(behaviour, command):
    bench = Bench(command)
    log = ""
    try:
        await asyncio.wait_for(behaviour(bench), BEHAVIOUR_SECONDS_MAX)
        for server in bench.servers:
            check(server.alive(), f"the server died (status {server.process.returncode})")
        return None
    except Exception as error:
        log = "\n".join(server.log_tail() for server in bench.servers)
        if isinstance(error, Failure):
            return f"{error}\n{log}"
        return f"{traceback.format_exc().strip()}\n{log}"
    finally:
        await bench.close()


async def main(command):
    failed = 0
    for behaviour in BEHAVIOURS:
        started = time.monotonic()
        reason = await run(behaviour, command)
        took = f"{time.monotonic() - started:.2f} s"
        if reason is None:
            print(f"ok   python  {behaviour.__name__} ({took})", flush=True)
        else:
            failed += 1
            print(f"FAIL python  {behaviour.__name__} ({took}): {reason}", flush=True)
    print(f"python: {len(BEHAVIOURS) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(asyncio.run(main(sys.argv[1:])))
