"""Headless Chromium on a leash: its DevTools protocol over a pair of pipes, as much of it as looking at a page takes.

--remote-debugging-pipe: messages are JSON, each ended by a NUL; we write to the browser's descriptor 3 and read from 4.
"""
import base64
import json
import os
import select
import subprocess
import tempfile
import time

FLAGS = """--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync --disable-default-apps --disable-dev-shm-usage --hide-scrollbars
--force-color-profile=srgb --remote-debugging-pipe""".split()
PATIENCE_S = 30


class Browser:
    def __init__(self, program="chromium"):
        self.profile = tempfile.TemporaryDirectory(prefix="probed-look-", ignore_cleanup_errors=True)
        to_browser, self.write_fd = os.pipe()
        self.read_fd, from_browser = os.pipe()

        def place():
            os.dup2(to_browser, 3)
            os.dup2(from_browser, 4)

        # High numbers first: the pipes themselves must not be where they are going.
        to_browser, from_browser = (os.dup(os.dup(os.dup(fd))) for fd in (to_browser, from_browser))
        self.process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={self.profile.name}", "about:blank"],
            preexec_fn=place, pass_fds=(3, 4), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self.rest = b""
        self.last_id = 0
        self.events = []

    def close(self):
        self.call("Browser.close")
        self.process.wait(PATIENCE_S)
        os.close(self.write_fd)
        os.close(self.read_fd)
        self.profile.cleanup()

    def read(self, due):
        while b"\0" not in self.rest:
            if not select.select([self.read_fd], [], [], max(0, due - time.monotonic()))[0]:
                raise TimeoutError("the browser says nothing")
            bytes_read = os.read(self.read_fd, 1 << 20)
            if not bytes_read:
                raise EOFError("the browser has ended")
            self.rest += bytes_read
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, **parameters):
        self.last_id += 1
        request = {"id": self.last_id, "method": method, "params": parameters}
        if session:
            request["sessionId"] = session
        os.write(self.write_fd, json.dumps(request).encode() + b"\0")
        due = time.monotonic() + PATIENCE_S
        while True:
            message = self.read(due)
            if message.get("id") == self.last_id:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self.events.append(message)

    def open(self, **settings):
        return Page(self, **settings)


class Page:
    """One tab: width and height in CSS pixels, dark or light, with or without script."""

    def __init__(self, browser, width, height, dark=False, script=True, phone=False):
        self.browser = browser
        self.target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=2 if phone else 1, mobile=phone)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.call("Emulation.setScriptExecutionDisabled", value=not script)

    def call(self, method, **parameters):
        return self.browser.call(method, session=self.session, **parameters)

    def go(self, url):
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def value(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait(self, expression):
        due = time.monotonic() + PATIENCE_S
        while not self.value(expression):
            if time.monotonic() > due:
                raise TimeoutError(f"it never came to be that {expression}")
            time.sleep(0.05)  # the browser tells nobody when an expression changes

    def press(self, key, code):
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def heard(self):
        """What a screen reader is told, in its order: (role, name) of each part, silent and unnamed groups left out."""
        nodes = {node["nodeId"]: node for node in self.call("Accessibility.getFullAXTree")["nodes"]}

        def walk(node):
            role = node.get("role", {}).get("value", "")
            name = node.get("name", {}).get("value", "").strip()
            if not node["ignored"] and role != "InlineTextBox" and (name or role not in ("generic", "none", "LayoutTable")):
                yield role, name
            for child in node.get("childIds", ()):
                if child in nodes:
                    yield from walk(nodes[child])

        return list(walk(next(node for node in nodes.values() if "parentId" not in node)))

    def screenshot(self, path):
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        picture = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(picture["data"]))

    def complaints(self):
        """What the console was told, and requests that went elsewhere or failed."""
        found = []
        for event in self.browser.events:
            if event.get("sessionId") != self.session:
                continue
            parameters = event["params"]
            if event["method"] == "Log.entryAdded":
                found.append(parameters["entry"]["text"])
            elif event["method"] == "Runtime.exceptionThrown":
                found.append(parameters["exceptionDetails"].get("text", "an exception"))
            elif event["method"] == "Runtime.consoleAPICalled":
                found.append("console: " + str(parameters["args"]))
        return found

    def requests(self):
        return [event["params"]["request"]["url"] for event in self.browser.events
                if event.get("sessionId") == self.session and event["method"] == "Network.requestWillBeSent"]
