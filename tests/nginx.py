"""A real nginx before a page, with the configurations of docs/page.md."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.pacs.conftest import free_port

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed; run 'apt-get install nginx-light'")
DOCS = Path(__file__).parents[1] / "docs" / "page.md"
HOST, FOLDER = "reading.example", "/readingroom"
PASSWORDS = {"anna": "one-canary", "bert": "two-canary"}
SETTINGS = {"auth_header": "X-Forwarded-User", "trusted_proxies": "127.0.0.1", "public_hosts": HOST}
"""Of a page behind it, as docs/page.md says them."""


class Site(NamedTuple):
    """Where nginx listens, and what it passes requests to."""

    address: str
    behind: str
    log: Path

    def paths(self) -> list[str]:
        """Return the path of every request so far, of scripts, pictures and icons too."""
        return [line.split(" ")[1] for line in self.log.read_text(encoding="utf-8").splitlines()]

    def client(self, name: str = "", **headers: str) -> httpx.Client:
        """Return a client of a person's, or of nobody's, that calls the site by its name."""
        auth = (name, PASSWORDS[name]) if name else None
        return httpx.Client(
            base_url=self.address, auth=auth, headers={"host": HOST, **headers}, trust_env=False, timeout=30
        )


@contextmanager
def nginx_before(behind: str, folder: Path, *, in_folder: bool = False) -> Iterator[Site]:
    """Yield a site whose every page is the one behind it, or where only a folder is."""
    port = free_port()
    (folder / "users").write_text("".join(f"{n}:{{PLAIN}}{p}\n" for n, p in PASSWORDS.items()), encoding="utf-8")
    (folder / "nginx.conf").write_text(_documented(folder, port, behind, in_folder=in_folder), encoding="utf-8")
    assert NGINX
    site = Site(f"http://127.0.0.1:{port}", behind, folder / "access.log")
    process = subprocess.Popen(
        [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    )
    try:
        _wait_for(site.address)
        yield site
    finally:
        process.terminate()
        process.wait(timeout=20)


def _documented(folder: Path, port: int, behind: str, *, in_folder: bool) -> str:
    """Return the documentation's configuration with a test's addresses and files, without TLS."""
    server, variant = re.findall(r"```nginx\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    if in_folder:
        own_lines = r"location /[^{]*\{[^\n]*\n *proxy_pass[^\n]*\n"
        (others,) = re.findall(own_lines, variant)
        server, count = re.subn(own_lines, others, server)
        assert count == 1
    server = re.sub(r"\n *ssl_\w+ [^\n]*", "", server).replace("listen 443 ssl", f"listen 127.0.0.1:{port}")
    server = server.replace("http://127.0.0.1:7860", behind).replace("/etc/nginx/reading.users", str(folder / "users"))
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # its worker may read a test's folder only as that folder's owner
    settings = (
        f"user {folder.owner()} {folder.group()}; daemon off; worker_processes 1;"
        f"pid {folder}/nginx.pid; error_log {folder}/error.log;"
    )
    log = f"log_format plain '$request'; access_log {folder}/access.log plain;"
    return f"{settings} events {{}} http {{ {log} {temporary} {server} }}"


def _wait_for(address: str) -> None:
    for _ in range(100):
        try:
            httpx.get(address, trust_env=False)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("nginx does not answer")
