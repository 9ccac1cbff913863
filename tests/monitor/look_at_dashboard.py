"""Opens the dashboard of a broker at work in a browser and says what is wrong with it; see scripts/dashboard-check."""

import asyncio
import json
import pathlib
import random
import signal
import ssl
import subprocess
import sys
import tempfile
import urllib.request

import axe_playwright_python
import nats
from playwright.async_api import async_playwright

BROKER, BROWSER, FOLDER = sys.argv[1:]
SCREENS = [("desk", 1280, 900), ("tablet", 820, 1100), ("phone", 390, 844)]
AXE = (pathlib.Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
CONFIG = """
max_pending: 1MB
accounts {
  SHOP { users: [{user: shop, password: s}] }
  PLANT { users: [{user: plant, password: p}] }
  IDLE {}
}
"""
# Names and subjects that would be seen if a client could write into the page.
NAMES = ["billing", "<b>bold</b>", "long-" * 200, "<img src=x onerror=alert(1)>", "\u202ereversed", "消息 مرحبا", "<script>alert(2)</script>"]
SUBJECTS = ["orders.eu.new", "orders.eu.paid", "orders.us.new", "orders.*.new", "<b>x</b>.y", "sensors.>"]
NAME = "<i>&\""
faults = []


def check(holds, what):
    if not holds:
        faults.append(what)


async def wait(page, holds):
    """Waits until an expression is true. Playwright's own way evaluates in the page, whose policy forbids it."""
    for _ in range(200):
        if await page.evaluate(holds):
            return
        await page.wait_for_timeout(100)
    check(False, f"not within 20 s: {holds}")


async def start(folder, config="", flags=()):
    """A broker with the address of its clients' port and of its monitor."""
    file = pathlib.Path(folder) / "server.conf"
    file.write_text(config)
    flags = ["-a", "127.0.0.1", "-p", "-1", "-n", NAME, "--shards", "2", "--ports_file_dir", folder, *flags]
    broker = subprocess.Popen([BROKER, *flags, "-c", file], stderr=subprocess.DEVNULL)
    for _ in range(400):
        await asyncio.sleep(0.05)
        for file in pathlib.Path(folder).glob(f"*_{broker.pid}.ports"):
            ports = json.loads(file.read_text())
            return broker, ports["nats"][0], ports["monitoring"][0]
    broker.kill()
    sys.exit("the broker does not start")


def stop(broker):
    broker.kill()
    broker.wait()


async def be_slow(url):
    """Subscribes, and reads nothing of what comes."""
    host, port = url.removeprefix("nats://").split(":")
    _, writer = await asyncio.open_connection(host, int(port), limit=1024)
    writer.transport.pause_reading()
    writer.write(b'CONNECT {"verbose":false,"user":"plant","pass":"p","name":"slow"}\r\nSUB alarms.> watch 7\r\nPING\r\n')
    await writer.drain()
    publisher = await nats.connect(url, user="plant", password="p")
    for _ in range(200):
        for _ in range(16):
            await publisher.publish("alarms.boiler", b"x" * 16000)
        await publisher.flush()
    await publisher.close()
    return writer


async def work(url):
    clients = []

    async def take(_):
        pass

    for number in range(30):
        user = "shop" if number % 3 else "plant"
        name = f"{number}-{NAMES[number % len(NAMES)]}"
        client = await nats.connect(url, name=name, user=user, password=user[0], allow_reconnect=False, error_cb=take)
        if number % 2:
            await client.subscribe(SUBJECTS[number % len(SUBJECTS)], cb=take)
            await client.subscribe(f"devices.{number}.state", cb=take)
        if number == 1:
            for leaf in range(300):
                await client.subscribe(f"leaves.l{leaf}", cb=take)
        clients.append(client)
    await (await nats.connect(url, name="short", user="shop", password="s")).close()
    # The client library has no subjects of this length.
    _, writer = await asyncio.open_connection(*url.removeprefix("nats://").split(":"))
    writer.write(b'CONNECT {"verbose":false,"user":"shop","pass":"s"}\r\nSUB ' + b"t" * 1000 + "\u202e.x 1\r\n".encode())
    while True:
        for _ in range(random.randint(20, 300)):
            subject = random.choice(["orders.eu.new", "orders.us.new", "orders.eu.paid", "nobody"])
            await random.choice(clients).publish(subject, b"x" * random.randint(5, 900))
        await asyncio.sleep(0.1)


async def opened(context, url, name, allowed=()):
    """The page, which may say nothing in its console and ask nobody else."""
    page = await context.new_page()

    def console(message):
        check(any(part in message.text for part in allowed), f"{name}: console: {message.text}")

    page.on("console", console)
    page.on("pageerror", lambda error: check(False, f"{name}: {error}"))
    page.on("request", lambda request: check(request.url.startswith(url), f"{name}: asks for {request.url}"))
    await page.goto(url + "/dashboard")
    return page


async def look(browser, url, name, width, height, scheme):
    motion = "reduce" if scheme == "dark" else "no-preference"
    context = await browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=name.startswith("phone"), reduced_motion=motion
    )
    page = await opened(context, url, name)
    await wait(page, "document.querySelectorAll('#rates path').length == 2")
    for part in ["connections", "subjects", "accounts"]:
        await page.locator(f"#{part}").scroll_into_view_if_needed()
        await page.wait_for_timeout(300)
    await wait(page, "document.querySelectorAll('#connection_rows tr').length > 5")
    await tree(page, name)
    # Rates of accounts need two readings.
    await wait(page, "/^[A-Z]+\\t\\d+\\t[\\d.k\\u00a0]+\\t[1-9]/m.test(document.querySelector('#account_rows').innerText)")
    # All of it at once, so that all of it is on the screen and fed.
    whole = await page.evaluate("document.documentElement.scrollHeight")
    await page.set_viewport_size({"width": width, "height": whole})
    await page.wait_for_timeout(3500)
    await page.screenshot(path=f"{FOLDER}/{name}.png")
    await page.set_viewport_size({"width": width, "height": height})
    check(not await page.evaluate("document.documentElement.scrollWidth > innerWidth"), f"{name}: wider than the screen")
    check(await page.inner_text("h1") == NAME, f"{name}: the server's name is not shown as it is")
    check(await page.title() == f"{NAME} – dashboard", f"{name}: titled {await page.title()}")
    written = "td b, td img, td script, .tree b, .tree img, .tree script"
    check(await page.evaluate(f"document.querySelectorAll('{written}').length") == 0, f"{name}: a client wrote into the page")
    check("\u202e" not in await page.inner_text("body"), f"{name}: a name turns the text around it")
    ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    check((ground == "rgb(15, 20, 26)") == (scheme == "dark"), f"{name}: {ground} is not {scheme}")
    moves = await page.evaluate("getComputedStyle(document.querySelector('.bar i')).transitionDuration")
    check((moves == "0s") == (motion == "reduce"), f"{name}: bars move for {moves}")
    check(await page.inner_text("#state") == "live", f"{name}: not live")
    slow = await page.inner_text("#slow_rows")
    for what in ["alarms.boiler", "alarms.>", "watch", "PLANT", "Slow Consumer"]:
        check(what in slow, f"{name}: {what} is not among the slow consumers: {slow}")
    check(await page.is_hidden("#banner"), f"{name}: a banner without a reason")
    await as_varz_has_it(page, url, name)
    await accessible(page, name)
    await connections(page, name)
    await keys(page, name)
    if name == "desk-light":
        await page.hover("#rates svg", position={"x": 400, "y": 20})
        await wait(page, "/ s ago: .* in, .* out/.test(document.querySelector('#rates .reading').innerText)")
        await chosen_again(page, name)
        await unseen(page, name)
    await context.close()


async def as_varz_has_it(page, url, name):
    """Numbers that stand still are those of /varz."""
    varz = json.load(await asyncio.to_thread(urllib.request.urlopen, url + "/varz"))
    for part, number in [("connections_now", varz["connections"]), ("subscriptions_now", varz["subscriptions"]), ("slow_now", varz["slow_consumers"])]:
        await wait(page, f"document.querySelector('#{part}').firstChild.textContent == '{number}'")


async def accessible(page, name):
    await page.evaluate(AXE)
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    for one in found["violations"]:
        check(False, f"{name}: {one['impact']}: {one['id']}: {one['help']}: {[node['target'] for node in one['nodes']][:3]}")


async def tree(page, name):
    """Walks through the subjects by keyboard alone, then by pointer."""
    await page.wait_for_selector("#tree [role=treeitem]")
    await page.focus("#tree [tabindex='0']")

    async def press(*pressed):
        for key in pressed:
            await page.keyboard.press(key)
            await page.wait_for_timeout(300)
        return await page.evaluate("document.activeElement.dataset.subject")

    subject = await press("Home")
    while subject != "orders" and subject != (next_one := await press("ArrowDown")):
        subject = next_one
    check(subject == "orders", f"{name}: the tree has no orders, or arrows do not lead there: {subject}")
    await press("ArrowRight")
    await wait(page, "document.querySelector(\"[data-subject='orders']\").getAttribute('aria-expanded') == 'true'")
    check(await press("ArrowRight") in ["orders.eu", "orders.us", "orders.*"], f"{name}: orders does not open")
    await page.locator("[data-subject='orders.eu']").locator("> .row").click()
    await page.locator("[data-subject='orders.eu.paid']").locator("> .row").click()
    await wait(page, "document.querySelector(\"[data-subject='orders.eu.paid']\").innerText.includes('connection')")
    # A level shows its first 200; the others are found by how they begin.
    await page.locator("[data-subject='leaves']").locator("> .row").click()
    await wait(page, "document.querySelector(\"[data-subject='leaves']\").innerText.includes('and 100 more')")
    await page.fill("#subjects_from", "orders.eu")
    await wait(page, "[...document.querySelectorAll('#tree > li')].every(item => item.dataset.subject?.startsWith('orders.eu.'))")
    await page.fill("#subjects_from", "nothing")
    await wait(page, "!document.querySelector('#no_subjects').hidden")
    await page.fill("#subjects_from", "")
    await page.locator("[data-subject='orders']").locator("> .row").wait_for()
    await page.select_option("#subjects_account", "PLANT")
    await wait(page, "!document.querySelector(\"[data-subject='leaves']\")")
    await page.select_option("#subjects_account", "")
    await page.locator("[data-subject='orders']").locator("> .row").click()


async def connections(page, name):
    await page.fill("#search", "BILLING")
    await wait(page, "[...document.querySelectorAll('#connection_rows tr')].every(row => row.innerText.includes('billing'))")
    await page.fill("#search", "no such thing")
    await wait(page, "!document.querySelector('#no_connections').hidden")
    await page.fill("#search", "")
    await wait(page, "document.querySelectorAll('#connection_rows tr').length == 25")
    check("of" in await page.inner_text("#connections_shown"), f"{name}: a part of the connections does not say that it is one")
    await page.click("#more_connections")
    await wait(page, "document.querySelectorAll('#connection_rows tr').length > 25")
    for key in ["msgs_from", "bytes_to", "subs", "cid"]:
        await page.click(f"[data-sort={key}]")
        direction = "ascending" if key == "cid" else "descending"
        await wait(page, f"document.querySelector('[data-sort={key}]').closest('th').getAttribute('aria-sort') == '{direction}'")
        check(await page.evaluate("document.querySelectorAll('[aria-sort]').length") == 1, f"{name}: sorted by several columns")
    ids = "[...document.querySelectorAll('#connection_rows tr')].map(row => Number(row.firstChild.textContent))"
    await wait(page, f"{ids}.every((id, place, all) => !place || all[place - 1] < id)")
    # Those that have gone, found through the slow consumers.
    await page.locator("#slow_rows button").first.click()
    await wait(page, "document.querySelector('#connection_rows').innerText.includes('Slow Consumer')")
    check(await page.input_value("#sort") == "closed", f"{name}: the order does not tell of those that have ended")
    await page.fill("#search", "")
    await wait(page, "document.querySelector('#connection_rows').innerText.includes('Client Closed')")


async def keys(page, name):
    await page.evaluate("document.activeElement.blur()")
    await page.keyboard.press("p")
    held = await page.inner_text("main .tiles")
    await page.wait_for_timeout(2500)
    check(await page.inner_text("main .tiles") == held, f"{name}: P does not hold the picture")
    check(await page.inner_text("#state") == "held", f"{name}: held, and does not say so")
    await page.keyboard.press("p")
    await wait(page, "document.querySelector('#state').innerText == 'live'")
    before = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    await page.keyboard.press("t")
    after = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    check(after != before, f"{name}: T does not change the theme")
    await page.keyboard.press("s")
    check(await page.evaluate("document.activeElement.id") == "sort", f"{name}: S does not lead to the order")
    await page.evaluate("document.activeElement.blur()")
    await page.keyboard.press("/")
    check(await page.evaluate("document.activeElement.id") == "search", f"{name}: / does not lead to the search")
    check(await page.input_value("#search") == "", f"{name}: / is in the search")
    await page.keyboard.press("Tab")
    outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    check(outline != "none", f"{name}: where the keyboard is cannot be seen")


async def chosen_again(page, name):
    """What was chosen outlives the page."""
    await page.uncheck("#keys")
    await page.evaluate("document.activeElement.blur()")
    await page.keyboard.press("p")
    check(await page.get_attribute("#hold", "aria-pressed") == "false", f"{name}: P acts though it must not")
    ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    await page.reload()
    await wait(page, "document.querySelector('#state').innerText == 'live'")
    check(await page.evaluate("getComputedStyle(document.body).backgroundColor") == ground, f"{name}: the theme is forgotten")
    check(not await page.is_checked("#keys"), f"{name}: that single keys do nothing is forgotten")


async def unseen(page, name):
    """A page that nobody sees asks for nothing."""
    asked = []
    pretend = "hidden => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true }); document.dispatchEvent(new Event('visibilitychange')); }"
    await page.evaluate(pretend, True)
    await page.wait_for_timeout(500)
    page.on("request", lambda request: asked.append(request.url))
    heard = await page.inner_text("#heard")
    await page.wait_for_timeout(6000)
    check(not asked, f"{name}: hidden, and asks for {asked}")
    check(await page.inner_text("#heard") == heard, f"{name}: hidden, and listens")
    await page.evaluate(pretend, False)
    await wait(page, f"document.querySelector('#heard').innerText != '{heard}'")


async def look_at_the_end(browser, url, broker, folder):
    """Lame duck mode, a server that is gone, and another one in its place."""
    refused = ["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE"]
    page = await opened(await browser.new_context(viewport={"width": 1280, "height": 700}), url, "end", refused)
    await wait(page, "document.querySelector('#state').innerText == 'live'")
    broker.send_signal(signal.SIGUSR2)
    await wait(page, "!document.querySelector('#banner').hidden")
    check("Lame duck" in await page.inner_text("#banner"), "the banner does not say why")
    check("lame duck" in await page.title(), "the title does not tell of lame duck mode")
    await accessible(page, "lame duck")
    await page.screenshot(path=f"{FOLDER}/lame-duck.png")
    stop(broker)
    await wait(page, "document.querySelector('#state').innerText == 'no connection'")
    check("What is shown is from" in await page.inner_text("#banner"), "that the picture is old is not told")
    await accessible(page, "lost")
    await page.screenshot(path=f"{FOLDER}/lost.png")
    tries = []
    page.on("request", lambda request: tries.append(request.url) if request.url.endswith("/events") else None)
    await page.wait_for_timeout(7000)
    check(1 <= len(tries) <= 5, f"in 7 s it tries {len(tries)} times")
    again, _, _ = await start(folder, CONFIG, ["-m", url.rsplit(":", 1)[1]])
    try:
        await wait(page, "document.querySelector('#state').innerText == 'live'")
        check(await page.is_hidden("#banner"), "the banner stays")
        await page.locator("#connections").scroll_into_view_if_needed()
        await wait(page, "document.querySelector('#no_connections').innerText == 'Nobody is connected.'")
        await page.screenshot(path=f"{FOLDER}/nobody.png", full_page=True)
    finally:
        stop(again)


async def look_at_others(browser):
    """Below a base path, over HTTPS: a server that says nothing for a while, and one that has too many watchers."""
    with tempfile.TemporaryDirectory() as folder:
        made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost"]
        files = ["-keyout", f"{folder}/key.pem", "-out", f"{folder}/certificate.pem"]
        subprocess.run([*made, *files], check=True, capture_output=True)
        tls = f'tls {{ cert_file: "{folder}/certificate.pem", key_file: "{folder}/key.pem" }}'
        broker, _, url = await start(folder, tls, ["-ms", "-1", "--http_base_path", "/ops/nats"])
        url = url.rstrip("/").removesuffix("/ops/nats") + "/ops/nats"
        try:
            context = await browser.new_context(ignore_https_errors=True)
            page = await opened(context, url, "base path", ["503", "ERR_"])
            await wait(page, "document.querySelector('#state').innerText == 'live'")
            await page.locator("#subjects").scroll_into_view_if_needed()
            await wait(page, "document.querySelector('#no_subjects').innerText == 'Nobody subscribes to anything.'")
            await page.screenshot(path=f"{FOLDER}/base-path.png", full_page=True)
            broker.send_signal(signal.SIGSTOP)
            await wait(page, "document.querySelector('#state').innerText == 'no connection'")
            broker.send_signal(signal.SIGCONT)
            await wait(page, "document.querySelector('#state').innerText == 'live'")
            others = [await fill_up(url) for _ in range(31)]
            late = await opened(context, url, "too many", ["503"])
            await wait(late, "document.querySelector('#state').innerText == 'not live'")
            check("32 others are watching" in await late.inner_text("#banner"), "the banner does not tell of other watchers")
            await late.screenshot(path=f"{FOLDER}/too-many.png")
            for other in others:
                other.close()
            await wait(late, "document.querySelector('#state').innerText == 'live'")
            await context.close()
        finally:
            stop(broker)


async def fill_up(url):
    """Somebody else who watches."""
    place, path = url.removeprefix("https://").split("/", 1)
    host, port = place.split(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
    writer.write(f"GET /{path}/dashboard/events HTTP/1.1\r\nHost: m\r\n\r\n".encode())
    check(b" 200 " in await reader.readline(), "somebody may not watch though there is room")
    return writer


async def main():
    with tempfile.TemporaryDirectory() as folder:
        broker, clients, monitor = await start(folder, CONFIG, ["-m", "-1"])
        try:
            slow = await be_slow(clients)
            busy = asyncio.create_task(work(clients))
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
                screens = [
                    look(browser, monitor, f"{screen}-{scheme}", width, height, scheme)
                    for screen, width, height in SCREENS
                    for scheme in ["light", "dark"]
                    if (screen, scheme) != ("tablet", "dark")
                ]
                await asyncio.gather(*screens, look_at_others(browser))
                check(not busy.done(), "the clients have failed")
                busy.cancel()
                await look_at_the_end(browser, monitor, broker, folder)
                await browser.close()
            slow.close()
        finally:
            stop(broker)
    print("\n".join(faults) or f"nothing to complain about; screenshots are in {FOLDER}")
    return 1 if faults else 0


sys.exit(asyncio.run(main()))
