"""A headless Chromium, spoken to by its DevTools protocol through a pipe: for tests of pages."""

import base64
import json
import os
import subprocess
import time
from pathlib import Path

VARIABLE = "FLOWSPEC_TEST_BROWSER"  # path of a Chrome or Chromium
_OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--remote-debugging-pipe", "--hide-scrollbars", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip
_CODES = {"Escape": 27, "Enter": 13, "ArrowLeft": 37, "ArrowRight": 39, "Tab": 9}


class Browser:
    """One page in a browser of its own.

    Attributes:
        requests: URLs that were asked for, those of the page's own file and of data apart.
        complaints: What was written to the console as an error, and exceptions.

    Args:
        folder: For its profile and downloads.
        width: Of the window in pixels.
        height: Of the window.
        phone: Whether it has a finger instead of a mouse.
        dark: Whether the system prefers dark colours.
    """

    def __init__(self, folder: Path, width=1280, height=800, *, phone=False, dark=False):
        read, self._write = os.pipe()
        self._read, write = os.pipe()
        words = [os.environ[VARIABLE], *_OPTIONS, f"--user-data-dir={folder / 'profile'}",
                 "about:blank"]
        script = f'exec "$@" 3<&{read} 4>&{write} 2>/dev/null'
        self._process = subprocess.Popen(["bash", "-c", script, "bash", *words],
                                         pass_fds=(read, write), stdout=subprocess.DEVNULL)
        os.close(read)
        os.close(write)
        self._number, self._rest, self._session = 0, b"", None
        self.requests: list[str] = []
        self.complaints: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")
        self.resize(width, height, phone=phone)
        self.send("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_):
        os.close(self._write)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._read)

    def resize(self, width: int, height: int, *, phone: bool = False):
        """Another window."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=phone)
        self.send("Emulation.setTouchEmulationEnabled", enabled=phone)

    def open(self, path: Path, seconds: float = 120) -> float:
        """Seconds from the navigation until the page says that it is ready."""
        start = time.perf_counter()
        self.send("Page.navigate", url=path.resolve().as_uri())
        ready = "document.documentElement?.dataset.ready"
        while not self.run(ready):
            assert time.perf_counter() - start < seconds, self.complaints
            time.sleep(0.01)
        return time.perf_counter() - start

    def seconds(self) -> float:
        """Processor time of all processes of the browser so far: a busy machine adds none."""
        parents, used = {}, {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                text = stat.read_text()
            except OSError:  # it has just ended
                continue
            fields = text.rpartition(")")[2].split()
            number = int(stat.parent.name)
            parents[number], used[number] = int(fields[1]), int(fields[11]) + int(fields[12])
        own = {self._process.pid}
        while more := {p for p, parent in parents.items() if parent in own} - own:
            own |= more
        return sum(used.get(p, 0) for p in own) / os.sysconf("SC_CLK_TCK")

    def run(self, script: str):
        """The value of an expression in the page."""
        found = self.send("Runtime.evaluate", expression=script, returnByValue=True,
                          awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def settle(self):
        """Wait until what waits for a frame is drawn."""
        frame = "new Promise((done) => requestAnimationFrame(() => setTimeout(done, 30)))"
        for _ in range(3):
            self.run(frame)

    def press(self, *keys: str):
        """Strike keys."""
        for key in keys:
            text = {"text": key} if len(key) == 1 else {}
            code = _CODES.get(key, ord(key.upper()) if len(key) == 1 and key.isalnum() else 0)
            self.send("Input.dispatchKeyEvent", type="keyDown", key=key,
                      windowsVirtualKeyCode=code, **text)
            self.send("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)
        self.settle()

    def click(self, selector: str):
        """Click the middle of an element, with the mouse."""
        self.run(f"document.querySelector({selector!r}).scrollIntoView({{block: 'nearest'}})")
        x, y = self.run(f"(() => {{ const b = document.querySelector({selector!r})"
                        ".getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2] "
                        "})()")  # fmt: skip
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        self.settle()

    def slide(self, selector: str, value):
        """Put a slider or a field to a value, as its user would."""
        self.run(f"(() => {{ const e = document.querySelector({selector!r}); e.value = {value!r}; "
                 "for (const kind of ['input', 'change']) e.dispatchEvent(new Event(kind, "
                 "{bubbles: true})) })()")
        self.settle()

    def picture(self, path: Path, *, whole: bool = False):
        """What the window shows, or the whole page, as PNG."""
        found = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))

    def send(self, method: str, **params):
        """A command of the protocol, and what it returns."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._received()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer.get("error"))
                return answer["result"]
            self._noticed(answer.get("method"), answer.get("params", {}))

    def _received(self) -> dict:
        parts = [self._rest]
        while b"\0" not in parts[-1]:
            more = os.read(self._read, 2**20)
            assert more, "the browser has gone"
            parts.append(more)
        text, _, self._rest = b"".join(parts).partition(b"\0")
        return json.loads(text)

    def _noticed(self, method, params):
        if method == "Network.requestWillBeSent":
            url = params["request"]["url"]
            if not url.startswith(("file:", "data:", "blob:", "about:")):
                self.requests.append(url)
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"])[:800])
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.complaints.append(params["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] == "error":
            self.complaints.append(json.dumps(params["args"])[:800])
