"""The process around a browser: `python -m keras_resnet.export.formats.web.chromium_process PROGRAM`.

Its standard input and output become the browser's, for messages of the DevTools protocol. A browser ends when its input does,
so also when the process that steers it is killed; this one stays until then, and removes what the browser has written.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from typing import Any

MAX_PATH = 60  # letters of the folder for temporary files: a socket of the browser in it has at most 104 in all on macOS
GRACE = 5.0  # seconds that the browser has to end after whoever steers it is gone
OPTIONS = (
    "--headless",
    "--no-sandbox",  # which containers and root do not have; the only page that is opened is ours
    "--disable-gpu",
    "--use-angle=swiftshader",  # WebGL without a GPU, for transparent images
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--disable-sync",
    "--disable-extensions",
    "--disable-breakpad",
    "--disable-component-update",
    "--disable-background-networking",
    "--disable-default-apps",
    "--disable-dev-shm-usage",  # 64 MB in containers
    "--no-first-run",
    "--no-default-browser-check",
    "--password-store=basic",  # the others ask for the user's
    "--use-mock-keychain",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # whatever a page asks for, nothing leaves this machine
)


def main(program: str) -> int:
    """Runs the browser to its end."""
    steering = os.getppid()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    if os.name == "posix" and len(tempfile.gettempdir()) > MAX_PATH:
        os.environ["TMPDIR"] = tempfile.tempdir = "/tmp"
    with tempfile.TemporaryDirectory(prefix="keras-resnet-browser-", ignore_cleanup_errors=True) as profile:
        pipes, inherited = inherit_pipes()
        command = [program, *OPTIONS, *pipes, f"--user-data-dir={profile}", "about:blank"]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno(), **inherited) as browser:
            for number in (0, 1):  # the browser alone is to hold them: they end with it
                os.close(number)
            try:
                while not ended(browser, within=1) and os.getppid() == steering:
                    pass
                ended(browser, within=GRACE)
            finally:
                end(browser)
            return browser.returncode


def ended(browser: subprocess.Popen[Any], within: float) -> bool:
    """Waits some seconds for the browser's end, and tells whether it has come."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        browser.wait(within)
    return browser.poll() is not None


def inherit_pipes() -> tuple[list[str], dict[str, Any]]:
    """The options by which a browser takes over this process's standard input and output, and those of `Popen`."""
    if sys.platform == "win32":
        import msvcrt

        handles = [msvcrt.get_osfhandle(number) for number in (0, 1)]
        for handle in handles:
            os.set_handle_inheritable(handle, True)
        startup = subprocess.STARTUPINFO(lpAttributeList={"handle_list": handles})
        return ["--remote-debugging-pipe", f"--remote-debugging-io-pipes={handles[0]},{handles[1]}"], {"startupinfo": startup}
    os.dup2(0, 3)  # where the browser looks for them
    os.dup2(1, 4)
    return ["--remote-debugging-pipe"], {"pass_fds": (3, 4), "start_new_session": True}


def end(browser: subprocess.Popen[Any]) -> None:
    """Ends all processes of a browser that has not ended by itself."""
    if browser.poll() is None and sys.platform == "win32":
        browser.kill()
    elif sys.platform != "win32":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(browser.pid, signal.SIGKILL)
    browser.wait()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
