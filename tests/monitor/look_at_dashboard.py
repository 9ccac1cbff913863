"""Opens the dashboard of a broker at work in a browser and says what is wrong with it; see scripts/dashboard-check."""

import asyncio
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import nats
from playwright.async_api import async_playwright

BROKER, BROWSER, FOLDER = sys.argv[1:]
SCREENS = [("desk", 1280, 900), ("phone", 390, 844)]
# Names that would be seen if a client could write into the page.
NAMES = ["billing", "<b>bold</b>", "a-client-with-a-rather-long-name-that-does-not-fit", "<img src=x onerror=alert(1)>"]
faults = []


def check(holds, what):
    if not holds:
        faults.append(what)


async def start(folder):
    flags = ["-a", "127.0.0.1", "-p", "-1", "-m", "-1", "-n", "<i>&\"", "--shards", "2", "--ports_file_dir", folder]
    broker = subprocess.Popen([BROKER, *flags], stderr=subprocess.DEVNULL)
    for _ in range(200):
        await asyncio.sleep(0.05)
        for file in pathlib.Path(folder).glob("*.ports"):
            ports = json.loads(file.read_text())
            return broker, ports["nats"][0], ports["monitoring"][0]
    broker.kill()
    sys.exit("the broker does not start")


async def work(url):
    clients = []

    async def take(_):
        pass

    for number in range(24):
        client = await nats.connect(url, name=f"{NAMES[number % len(NAMES)]}-{number}")
        if number % 2:
            await client.subscribe(f"s.{number % 6}", cb=take)
        clients.append(client)
    await (await nats.connect(url, name="short")).close()
    while True:
        for _ in range(random.randint(20, 300)):
            await random.choice(clients).publish(f"s.{random.randint(0, 7)}", b"x" * random.randint(5, 900))
        await asyncio.sleep(0.1)


async def look(browser, url, name, width, height, scheme):
    context = await browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = await context.new_page()
    page.on("console", lambda message: check(False, f"{name}: console: {message.text}"))
    page.on("pageerror", lambda error: check(False, f"{name}: {error}"))
    page.on("request", lambda request: check(request.url.startswith(url), f"{name}: asks for {request.url}"))
    await page.goto(url + "/dashboard")
    await page.wait_for_function("document.querySelectorAll('#first tr').length > 5 && history && peak.textContent")
    await page.wait_for_timeout(4000)
    await page.screenshot(path=f"{FOLDER}/{name}.png", full_page=True)
    check(not await page.evaluate("document.documentElement.scrollWidth > innerWidth"), f"{name}: wider than the screen")
    check(await page.inner_text("h1") == "<i>&\"", f"{name}: the server's name is not shown as it is")
    check(await page.evaluate("document.querySelectorAll('td b, td img').length") == 0, f"{name}: a client wrote into the page")
    check(await page.evaluate("document.documentElement.dataset.theme") == scheme, f"{name}: not {scheme}")
    check("live" in await page.inner_text("#state"), f"{name}: not live")
    await keys(page, name)
    await context.close()


async def keys(page, name):
    await page.keyboard.press("p")
    held = await page.inner_text("main .tiles")
    await page.wait_for_timeout(2500)
    check(await page.inner_text("main .tiles") == held, f"{name}: P does not hold the picture")
    await page.keyboard.press("p")
    before = await page.evaluate("document.documentElement.dataset.theme")
    await page.keyboard.press("t")
    check(await page.evaluate("document.documentElement.dataset.theme") != before, f"{name}: T does not change the theme")
    await page.keyboard.press("s")
    check(await page.evaluate("document.activeElement.id") == "sort", f"{name}: S does not lead to the order")
    await page.select_option("#sort", "closed")
    await page.wait_for_function("document.querySelector('#first').innerText.includes('Client Closed')")


async def main():
    with tempfile.TemporaryDirectory() as folder:
        broker, clients, monitor = await start(folder)
        busy = asyncio.create_task(work(clients))
        try:
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
                for screen, width, height in SCREENS:
                    for scheme in ["light", "dark"]:
                        await look(browser, monitor, f"{screen}-{scheme}", width, height, scheme)
                await browser.close()
            check(not busy.done(), "the clients have failed")
        finally:
            busy.cancel()
            broker.kill()
            broker.wait()
    print("\n".join(faults) or f"nothing to complain about; screenshots are in {FOLDER}")
    return 1 if faults else 0


sys.exit(asyncio.run(main()))
