"""Programs that people fetch with, and what stands between them and a hub.

A fetcher asks for a path and returns an Answer. A front is a process with a configuration of its own.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tasks"))
from scene import HOST, Failure, WAIT_S  # noqa: E402 pylint: disable=wrong-import-position

# The path is part of what an administrator's program has; services are not on a user's.
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def program(name):
    return shutil.which(name, path=PATH)


class Answer:
    def __init__(self, status, fields, body):
        self.status = status
        self.fields = fields # lower-case names; of a name that stands twice the last
        self.body = body # None: the program does not tell it


class Curl:
    name = "curl"

    def __init__(self, work, base, ca=None, certificate=None):
        self.out = os.path.join(work, "curl")
        self.base = base
        self.words = ["curl", "--silent", "--show-error", "--http2", "--max-time", str(WAIT_S)]
        if ca:
            self.words += ["--cacert", ca, "--cert", certificate + ".pem", "--key", certificate + ".key"]

    def fetch(self, path, fields=(), head=False):
        for end in (".head", ".body"):
            with open(self.out + end, "wb"):
                pass # curl leaves the old file where there is no body
        words = self.words + ["-D", self.out + ".head", "-o", self.out + ".body"]
        words += ["--head"] if head else []
        for name, value in fields:
            words += ["-H", f"{name}: {value}"]
        done = subprocess.run(words + [self.base + path], stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"curl {path}: exit {done.returncode}: {done.stderr}")
        with open(self.out + ".head", encoding="ascii") as f:
            lines = f.read().splitlines()
        with open(self.out + ".body", "rb") as f:
            body = b"" if head else f.read()
        found = dict(re.findall(r"^([^:]+):\s*(.*)$", "\n".join(lines[1:]).lower(), re.M))
        return Answer(int(lines[0].split()[1]), found, body)


class Nghttp:
    """Its own words of the frames that came; the body's bytes are only counted."""
    name = "nghttp"

    def __init__(self, base, certificate):
        self.base = base
        self.words = ["nghttp", "-nv", "--no-dep", f"--cert={certificate}.pem", f"--key={certificate}.key"]

    def fetch(self, path, fields=(), head=False):
        words = list(self.words) + (["-H:method: HEAD"] if head else [])
        words += [f"-H{name}: {value}" for name, value in fields]
        done = subprocess.run(words + [self.base + path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False)
        text = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
        found = dict(re.findall(r"recv \(stream_id=\d+\) (:?[a-z0-9-]+): (.*)", text))
        if ":status" not in found:
            raise Failure(f"nghttp {path}: exit {done.returncode}\n{text}")
        data = sum(int(n) for n in re.findall(r"recv DATA frame <length=(\d+)", text))
        answer = Answer(int(found.pop(":status")), found, None)
        answer.data = data
        return answer


# --- fronts ----------------------------------------------------------------------------------------

def wait_for_port(port, process, log):
    limit = time.monotonic() + WAIT_S
    while time.monotonic() < limit:
        with socket.socket() as s:
            if s.connect_ex((HOST, port)) == 0:
                return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    with open(log, encoding="utf-8") as f:
        raise Failure(f"port {port}: nobody listens\n{f.read()}")


class Front:
    """A program with its configuration; it ends with stop()."""

    def __init__(self, work, name, words, config, port):
        self.log = os.path.join(work, f"{name}.log")
        path = os.path.join(work, f"{name}.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(config)
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen([w.replace("CONFIG", path) for w in words], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        wait_for_port(port, self.process, self.log)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def haproxy(work, port, hub_port, ca, certificate):
    """HTTP/1.1 in, HTTP/2 with the reader's certificate out to the hub."""
    bundle = os.path.join(work, "haproxy-reader.pem")
    with open(bundle, "w", encoding="ascii") as out:
        for end in (".pem", ".key"):
            with open(certificate + end, encoding="ascii") as f:
                out.write(f.read())
    os.chmod(bundle, 0o600)
    return Front(work, "haproxy", [program("haproxy"), "-db", "-f", "CONFIG"], f"""
defaults
  mode http
  timeout connect 10s
  timeout client 60s
  timeout server 60s
frontend caches
  bind {HOST}:{port}
  default_backend hub
backend hub
  server hub {HOST}:{hub_port} ssl crt {bundle} ca-file {ca} verify required alpn h2
""", port)


def nginx(work, port, upstream_port, pages):
    """As docs/operations.md shows it: what to keep, and for how long, the answers say."""
    return Front(work, "nginx", [program("nginx"), "-c", "CONFIG", "-p", work], f"""
daemon off;
master_process off;
pid {work}/nginx.pid;
error_log {work}/nginx-errors.log;
events {{ worker_connections 64; }}
http {{
  log_format cache '$request_method $uri $status $upstream_cache_status';
  access_log {work}/nginx-access.log cache;
  client_body_temp_path {work}/nginx-body;
  proxy_temp_path {work}/nginx-proxy;
  fastcgi_temp_path {work}/nginx-fastcgi;
  uwsgi_temp_path {work}/nginx-uwsgi;
  scgi_temp_path {work}/nginx-scgi;
  types {{ text/html html; }}
  default_type application/octet-stream;
  proxy_cache_path {work}/nginx-cache keys_zone=models:1m;
  server {{
    listen {HOST}:{port};
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_cache_lock on;
    add_header X-Cache-Status "-$upstream_cache_status" always;
    location ~ ^/v1/tasks/[a-z0-9-]+/(models|deltas)/ {{
      proxy_cache models;
      proxy_pass http://{HOST}:{upstream_port};
    }}
    location /v1/ {{
      proxy_pass http://{HOST}:{upstream_port};
    }}
    location /done {{ return 204; }}
    location / {{ root {pages}; }}
  }}
}}
""", port)
