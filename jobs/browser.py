"""`python browser.py URL`: offers to open a page, as soon as its server answers; says so where there is no browser."""

import contextlib
import os
import sys
import time
import urllib.request
import webbrowser
from urllib.parse import urlsplit

PATIENCE_SECONDS = 120.0


def offer(url: str) -> None:
    """Ask on the terminal whether to open the page."""
    if not is_answered(url):
        return
    if not has_window():
        print(f"no browser on this machine; from another: ssh -L {urlsplit(url).port}:{urlsplit(url).netloc} HERE")
        return
    input("Enter opens it in a browser, Ctrl-C ends the server\n")
    webbrowser.open(url)


def is_answered(url: str) -> bool:
    """Wait until the page's server answers."""
    health = f"http://{urlsplit(url).netloc}/health"
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(health, timeout=5):
            return True
        time.sleep(0.2)
    return False


def has_window() -> bool:
    """Whether a browser opens beside the terminal; one that takes the terminal itself counts where it is asked for."""
    try:
        found = webbrowser.get()
    except webbrowser.Error:
        return False
    return "BROWSER" in os.environ or type(found) is not webbrowser.GenericBrowser


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt, EOFError):
        offer(sys.argv[1])
