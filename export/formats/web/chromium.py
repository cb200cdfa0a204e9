"""One page in a browser without a window, steered by the DevTools protocol. It gets its own files and nothing else."""

import base64
import contextlib
import json
import mimetypes
import queue
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self

from keras_resnet.child_process import ChildProcess
from keras_resnet.errors import UserError, first_line

START, ANSWER, END = 60.0, 300.0, 10.0  # seconds that the browser has to start, to answer, and to end
MIME_TYPES = {".js": "text/javascript", ".wasm": "application/wasm"}  # which a Windows registry may have otherwise

Params = dict[str, Any]


class BrowserUnavailableError(Exception):
    """The browser does not start."""


class Site(Protocol):
    """What a page consists of. url: the page's own address."""

    url: str

    def owns(self, url: str) -> bool:
        """Whether an address belongs to the page; no other is ever asked."""
        ...

    def file_at(self, url: str) -> bytes | None:
        """The content of one of its files, or None where it has none of that address."""
        ...


class Page(ChildProcess):
    """A page in a browser of its own, which ends with the `with` block, or when this process is gone.

    Attributes:
        version: The browser's name and version.
        foreign_requests: The addresses that the page has asked for and does not own.

    Args:
        program: The browser.
        site: The page's files.

    Raises:
        BrowserUnavailableError: The browser does not start.
    """

    def __init__(self, program: Path, site: Site) -> None:
        super().__init__(f"{__package__}.chromium_process", str(program), verbosity="quiet")
        self._program, self._site = program, site
        self._messages: queue.Queue[Params | None] = queue.Queue()
        self._last_id, self._session = 0, ""
        self.version = ""
        self.foreign_requests: list[str] = []

    def __enter__(self) -> Self:
        super().__enter__()
        threading.Thread(target=self._receive, args=[self._pipes[1]], daemon=True).start()
        try:
            self._attach()
            self._call("Fetch.enable", {"patterns": [{"urlPattern": "*"}]})
            self._call("Inspector.enable")  # which tells of a crash
            self._call("Page.navigate", {"url": self._site.url})
        except BaseException:
            self.__exit__()
            raise
        return self

    def _attach(self) -> None:
        try:
            self.version = self._call("Browser.getVersion", timeout=START)["product"]
            target = self._call("Target.createTarget", {"url": "about:blank"})["targetId"]
            self._session = self._call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        except UserError as error:
            raise BrowserUnavailableError(str(error)) from error

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(OSError):
            self._pipes[0].close()  # the browser ends, and the process around it removes the profile
        try:
            self._process.wait(END)
        except subprocess.TimeoutExpired:
            self._process.terminate()  # that process ends the browser
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END)
        super().__exit__(*error)

    def evaluate(self, function: str, *arguments: Any) -> Any:
        """Calls a JavaScript function with arguments of JSON, once the page is loaded, and returns what its promise gives.

        Raises:
            UserError: It throws, or the page asks for what is not its own.
        """
        loaded = 'document.readyState === "complete" || await new Promise((done) => addEventListener("load", done));'
        expression = f"(async () => {{ {loaded} return ({function})(...{json.dumps(arguments)}); }})()"
        options = {"awaitPromise": True, "returnByValue": True, "userGesture": True}
        answer = self._call("Runtime.evaluate", {"expression": expression, **options})
        if self.foreign_requests:
            raise UserError(f"the page asks for {self.foreign_requests[0]}, which is not one of its files")
        if thrown := answer.get("exceptionDetails"):
            description = thrown.get("exception", {}).get("description") or thrown["text"]
            raise UserError(f"{self.version}: {first_line(ValueError(description))}")
        return answer["result"].get("value")

    def _call(self, method: str, params: Params | None = None, timeout: float = ANSWER) -> Params:
        """Sends a command and returns its result; meanwhile the page gets the files that it asks for."""
        self._last_id += 1
        sent, deadline = self._last_id, time.monotonic() + timeout
        self._send(sent, method, params or {})
        while True:
            try:
                message = self._messages.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                raise UserError(f"{self._program} has not answered {method} within {timeout:g} seconds") from None
            if message is None:
                raise UserError(f"{self._program} {self._ending()[0]}")
            if message.get("id") == sent:
                if "error" in message:
                    raise UserError(f"{self._program} refuses {method}: {message['error']['message']}")
                return message["result"]
            if message.get("method") == "Fetch.requestPaused":
                self._answer_request(message["params"])
            elif message.get("method") == "Inspector.targetCrashed":
                raise UserError(f"the page has crashed in {self.version}")

    def _answer_request(self, request: Params) -> None:
        self._last_id += 1
        url, number = request["request"]["url"].partition("#")[0], {"requestId": request["requestId"]}
        if not self._site.owns(url):
            self.foreign_requests.append(url)
            self._send(self._last_id, "Fetch.failRequest", {**number, "errorReason": "BlockedByClient"})
            return
        content = self._site.file_at(url)
        kind = MIME_TYPES.get(Path(url).suffix) or mimetypes.guess_type(url)[0] or "application/octet-stream"
        response: Params = {"responseCode": 404 if content is None else 200, "body": base64.b64encode(content or b"").decode()}
        response["responseHeaders"] = [{"name": "Content-Type", "value": kind}]
        self._send(self._last_id, "Fetch.fulfillRequest", {**number, **response})

    def _send(self, number: int, method: str, params: Params) -> None:
        message: Params = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        try:
            self._pipes[0].write(json.dumps(message).encode() + b"\0")
            self._pipes[0].flush()
        except OSError as error:
            raise UserError(f"{self._program} {self._ending()[0]}") from error

    def _receive(self, stream: BinaryIO) -> None:
        """Reads messages, each of which a zero byte ends, until the browser is gone."""
        parts: list[bytes] = []
        with contextlib.suppress(OSError, ValueError):  # closed meanwhile
            while chunk := stream.read1(1 << 20):  # pyright: ignore[reportAttributeAccessIssue]
                *ended, rest = chunk.split(b"\0")
                for last in ended:
                    self._messages.put(json.loads(b"".join([*parts, last])))
                    parts = []
                parts.append(rest)
        self._messages.put(None)
