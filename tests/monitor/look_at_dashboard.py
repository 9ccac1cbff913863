"""Opens the dashboard of a broker at work in a browser and says what is wrong with it; see scripts/dashboard-check."""

import asyncio
import json
import pathlib
import random
import signal
import subprocess
import sys
import tempfile

import nats
from playwright.async_api import async_playwright

BROKER, BROWSER, FOLDER = sys.argv[1:]
SCREENS = [("desk", 1280, 900), ("phone", 390, 844)]
CONFIG = """
max_pending: 1MB
accounts {
  SHOP { users: [{user: shop, password: s}] }
  PLANT { users: [{user: plant, password: p}] }
  IDLE {}
}
"""
# Names and subjects that would be seen if a client could write into the page.
NAMES = ["billing", "<b>bold</b>", "a-client-with-a-rather-long-name-that-does-not-fit", "<img src=x onerror=alert(1)>"]
SUBJECTS = ["orders.eu.new", "orders.eu.paid", "orders.us.new", "orders.*.new", "<b>x</b>.y", "sensors.>"]
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


async def start(folder):
    config = pathlib.Path(folder) / "server.conf"
    config.write_text(CONFIG)
    flags = ["-a", "127.0.0.1", "-p", "-1", "-m", "-1", "-n", "<i>&\"", "--shards", "2", "--ports_file_dir", folder]
    broker = subprocess.Popen([BROKER, *flags, "-c", config], stderr=subprocess.DEVNULL)
    for _ in range(200):
        await asyncio.sleep(0.05)
        for file in pathlib.Path(folder).glob("*.ports"):
            ports = json.loads(file.read_text())
            return broker, ports["nats"][0], ports["monitoring"][0]
    broker.kill()
    sys.exit("the broker does not start")


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
        name = f"{NAMES[number % len(NAMES)]}-{number}"
        client = await nats.connect(url, name=name, user=user, password=user[0])
        if number % 2:
            await client.subscribe(SUBJECTS[number % len(SUBJECTS)], cb=take)
            await client.subscribe(f"devices.{number}.state", cb=take)
        clients.append(client)
    await (await nats.connect(url, name="short", user="shop", password="s")).close()
    while True:
        for _ in range(random.randint(20, 300)):
            subject = random.choice(["orders.eu.new", "orders.us.new", "orders.eu.paid", "nobody"])
            await random.choice(clients).publish(subject, b"x" * random.randint(5, 900))
        await asyncio.sleep(0.1)


async def look(browser, url, name, width, height, scheme):
    context = await browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = await context.new_page()
    page.on("console", lambda message: check(False, f"{name}: console: {message.text}"))
    page.on("pageerror", lambda error: check(False, f"{name}: {error}"))
    page.on("request", lambda request: check(request.url.startswith(url), f"{name}: asks for {request.url}"))
    await page.goto(url + "/dashboard")
    await wait(page, "document.querySelectorAll('#rates path').length == 2")
    for part in ["connections", "subjects", "accounts"]:
        await page.locator(f"#{part}").scroll_into_view_if_needed()
        await page.wait_for_timeout(300)
    await wait(page, "document.querySelectorAll('#connection_rows tr').length > 5")
    await tree(page, name)
    # Long enough for rates of accounts.
    await page.wait_for_timeout(6000)
    # All of it at once, so that all of it is on the screen and fed.
    whole = await page.evaluate("document.documentElement.scrollHeight")
    await page.set_viewport_size({"width": width, "height": whole})
    await page.wait_for_timeout(3500)
    await page.screenshot(path=f"{FOLDER}/{name}.png")
    await page.set_viewport_size({"width": width, "height": height})
    check(not await page.evaluate("document.documentElement.scrollWidth > innerWidth"), f"{name}: wider than the screen")
    check(await page.inner_text("h1") == "<i>&\"", f"{name}: the server's name is not shown as it is")
    check(await page.evaluate("document.querySelectorAll('td b, td img, .tree b, .tree img').length") == 0, f"{name}: a client wrote into the page")
    ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    check((ground == "rgb(15, 20, 26)") == (scheme == "dark"), f"{name}: {ground} is not {scheme}")
    check("live" in await page.inner_text("#state"), f"{name}: not live")
    check("PLANT" in await page.inner_text("#account_rows"), f"{name}: no accounts")
    slow = await page.inner_text("#slow_rows")
    for what in ["alarms.boiler", "alarms.>", "watch", "PLANT", "Slow Consumer"]:
        check(what in slow, f"{name}: {what} is not among the slow consumers: {slow}")
    check(await page.is_hidden("#banner"), f"{name}: a banner without a reason")
    await connections(page, name)
    await keys(page, name)
    await context.close()


async def tree(page, name):
    """Walks through the subjects by keyboard alone."""
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
    check(await press("ArrowRight", "ArrowRight") in ["orders.eu", "orders.us", "orders.*"], f"{name}: orders does not open")
    await page.locator("[data-subject='orders.eu']").locator("> .row").click()
    await page.locator("[data-subject='orders.eu.paid']").locator("> .row").click()
    await wait(page, "document.querySelector(\"[data-subject='orders.eu.paid']\").innerText.includes('connection')")


async def connections(page, name):
    await page.fill("#search", "BILLING")
    await wait(page, "[...document.querySelectorAll('#connection_rows tr')].every(row => row.innerText.includes('billing'))")
    await page.fill("#search", "no such thing")
    await wait(page, "!document.querySelector('#no_connections').hidden")
    await page.fill("#search", "")
    await wait(page, "document.querySelectorAll('#connection_rows tr').length > 5")
    await page.click("[data-sort=msgs_from]")
    await wait(page, "document.querySelector('[data-sort=msgs_from]').closest('th').getAttribute('aria-sort') == 'descending'")
    await page.select_option("#sort", "closed")
    await wait(page, "document.querySelector('#connection_rows').innerText.includes('Client Closed')")


async def keys(page, name):
    await page.evaluate("document.activeElement.blur()")
    await page.keyboard.press("p")
    held = await page.inner_text("main .tiles")
    await page.wait_for_timeout(2500)
    check(await page.inner_text("main .tiles") == held, f"{name}: P does not hold the picture")
    await page.keyboard.press("p")
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


async def look_at_lame_duck(browser, url, broker):
    page = await browser.new_page(viewport={"width": 1280, "height": 700})
    await page.goto(url + "/dashboard")
    await wait(page, "document.querySelector('#state').innerText.includes('live')")
    broker.send_signal(signal.SIGUSR2)
    await wait(page, "!document.querySelector('#banner').hidden")
    check("Lame duck" in await page.inner_text("#banner"), "the banner does not say why")
    await page.screenshot(path=f"{FOLDER}/lame-duck.png")


async def main():
    with tempfile.TemporaryDirectory() as folder:
        broker, clients, monitor = await start(folder)
        try:
            slow = await be_slow(clients)
            busy = asyncio.create_task(work(clients))
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
                for screen, width, height in SCREENS:
                    for scheme in ["light", "dark"]:
                        await look(browser, monitor, f"{screen}-{scheme}", width, height, scheme)
                check(not busy.done(), "the clients have failed")
                busy.cancel()
                await look_at_lame_duck(browser, monitor, broker)
                await browser.close()
            slow.close()
        finally:
            broker.kill()
            broker.wait()
    print("\n".join(faults) or f"nothing to complain about; screenshots are in {FOLDER}")
    return 1 if faults else 0


sys.exit(asyncio.run(main()))
