#!/usr/bin/env python3
"""A hub's HTTP/2 server beside nginx: http_bench.py [--quick] [--json FILE] [--build DIR]

h2load, with a reader's certificate, asks a hub and nginx for the same 4 MiB file, over TLS 1.3 with the same
certificates and cipher, in turns: bodies, and 304s by the tag. Each server has core 0 to itself, h2load the others.
What is compared is the work for a second of the server's CPU, since that is what a busy machine leaves alone; the
rates on the wall are beside it.
"""

import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "demo"))

from federation import Failure, free_ports  # noqa: E402
from figures import Skip, run  # noqa: E402
import hub_bench  # noqa: E402
from rounds import Rounds, write_model  # noqa: E402

DIMENSION = (4 << 20) // 4
CORE = "0"
TURNS = 9
# Connections, streams each, requests of a turn.
LOADS = {"304": (8, 8, 24000), "4mib": (4, 1, 120)}
TARGETS = {"304": 0.9, "4mib": 0.8}


class Hubs(Rounds):
    def __init__(self, build, work):
        super().__init__(build, work, 2, DIMENSION)
        self.upload_options["share_bytes_max"] = 2 * (DIMENSION + DIMENSION // 16) + 4096

    def hub_options(self, index, quorum, cohort_min):
        options = super().hub_options(index, quorum, cohort_min)
        options["control"] |= {"identity_requests_rate": 0, "source_requests_rate": 0, "source_connections_rate": 0}
        return options

    def start(self):
        self.model = os.path.join(self.work, "initial.safetensors")
        write_model(self.model, DIMENSION)
        self.make_identities()
        self.run(self.program("appliance", "cli", "millrace"), "pki", "init", "--dir", self.pki, "--hubs", "2",
                 "--devices", "2", "--readers", "1", "--host", self.host, "--force")
        self.start_hubs(2, 2, self.model)
        for hub in self.hubs:
            subprocess.run(["taskset", "-a", "-c", "-p", CORE, str(hub.pid)], check=True, stdout=subprocess.DEVNULL)

    def path(self):
        return "/v1/tasks/default/models/" + self.operator(0, "status")["tasks"][0]["model_hash"]


class Nginx:
    """One worker of Debian's package, without a log, with the settings that made it fastest here: sendfile on and
    smaller chunks came to 0.9 to 1.0 of it."""

    def __init__(self, fed, program):
        self.port = free_ports(1)[0]
        work, pki = fed.work, fed.pki
        root = os.path.join(work, "www")
        os.makedirs(root)
        shutil.copy(fed.model, os.path.join(root, "model"))
        os.chmod(work, 0o755)
        config = os.path.join(work, "nginx.conf")
        with open(config, "w", encoding="utf-8") as f:
            f.write(f"""
daemon off;
worker_processes 1;
pid {work}/nginx.pid;
user root;
error_log {work}/nginx-errors.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  sendfile off;
  output_buffers 2 256k;
  http2_chunk_size 64k;
  client_body_temp_path {work}/n1; proxy_temp_path {work}/n2; fastcgi_temp_path {work}/n3;
  uwsgi_temp_path {work}/n4; scgi_temp_path {work}/n5;
  keepalive_requests 1000000000;
  open_file_cache max=10;
  server {{
    listen {fed.host}:{self.port} ssl http2;
    ssl_certificate {pki}/hub-0.pem;
    ssl_certificate_key {pki}/hub-0.key;
    ssl_client_certificate {pki}/ca.pem;
    ssl_verify_client on;
    ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
    root {root};
  }}
}}
""")
        self.process = subprocess.Popen(["taskset", "-c", CORE, program, "-c", config, "-p", work])
        time.sleep(1)
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], check=True,
                                  stdout=subprocess.PIPE, text=True).stdout.split()
        if not children:
            raise Failure("nginx did not start")
        self.pid = int(children[0])

    def stop(self):
        self.process.terminate()
        self.process.wait()


def cpu_s(pid):
    """Seconds of all its threads, to the nanosecond."""
    total = 0
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/schedstat", encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total * 1e-9


class Load:
    def __init__(self, fed):
        self.fed = fed
        others = [str(c) for c in sorted(os.sched_getaffinity(0)) if str(c) != CORE] or [CORE]
        self.words = ["taskset", "-c", ",".join(others), "h2load", "-w", "24", "-W", "26"]
        self.environment = {**os.environ, "LD_PRELOAD": os.path.join(fed.build, "perf", "libclient_certificate.so"),
                            "MR_CERTIFICATE": f"{fed.pki}/reader.pem", "MR_KEY": f"{fed.pki}/reader.key"}

    def ask(self, pid, url, load, tag, requests):
        """(work per second of the server's CPU, per second on the wall): answers, or bytes of bodies."""
        connections, streams, _ = LOADS[load]
        words = self.words + ["-c", str(connections), "-m", str(streams), "-n", str(requests)]
        words += ["-H", f"if-none-match: {tag}"] if load == "304" else []
        before = cpu_s(pid)
        done = subprocess.run(words + [url], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env=self.environment, check=False)
        spent = cpu_s(pid) - before
        text = done.stdout
        codes = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx", text)
        seconds = re.search(r"finished in ([\d.]+)(ms|s)", text)
        if done.returncode != 0 or not codes or int(codes.group(2 if load == "304" else 1)) != requests:
            raise Failure(f"h2load {url}: exit {done.returncode}\n{text}")
        wall = float(seconds.group(1)) * (1e-3 if seconds.group(2) == "ms" else 1)
        work = requests
        if load != "304":
            work = int(re.search(r"\((\d+)\) data", text).group(1))
            if work != requests * os.path.getsize(self.fed.model):
                raise Failure(f"h2load {url}: {work} bytes of bodies\n{text}")
        return work / spent, work / wall


def tag_of(fed, url):
    text = subprocess.run(["curl", "-sSI", "--http2", "--cacert", f"{fed.pki}/ca.pem", "--cert",
                           f"{fed.pki}/reader.pem", "--key", f"{fed.pki}/reader.key", url], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    return re.search(r"^etag: (.*?)\r?$", text, re.M | re.I).group(1)


def measure(fed, figures, nginx_program, turns, scale):
    nginx = Nginx(fed, nginx_program)
    try:
        compare(fed, nginx, figures, turns, scale)
    finally:
        nginx.stop()


def compare(fed, nginx, figures, turns, scale):
    load = Load(fed)
    servers = {"hub": (fed.hubs[0].pid, f"https://{fed.host}:{fed.ports[0]}{fed.path()}"),
               "nginx": (nginx.pid, f"https://{fed.host}:{nginx.port}/model")}
    tags = {name: tag_of(fed, url) for name, (_, url) in servers.items()}
    for kind, (_, _, requests) in LOADS.items():
        unit, most = ("answers/s", requests // scale) if kind == "304" else ("bytes/s", requests // scale)
        for turn in range(turns + 1):
            found = {name: load.ask(pid, url, kind, tags[name], most) for name, (pid, url) in servers.items()}
            if turn == 0:
                continue # first touch
            for name, (by_cpu, by_wall) in found.items():
                figures.sample(f"http.{kind}.{name}_per_cpu_s", unit, by_cpu, "higher", None,
                               "for a second of the server's CPU")
                figures.sample(f"http.{kind}.{name}_per_s", unit, by_wall, "higher", None, "on the wall")
            figures.sample(f"http.{kind}.of_nginx", "ratio", found["hub"][0] / found["nginx"][0], "higher",
                           TARGETS[kind], "by the server's CPU")
            figures.sample(f"http.{kind}.of_nginx_wall", "ratio", found["hub"][1] / found["nginx"][1], "higher", None,
                           "on the wall")
    figures.checked()


def main():
    options = hub_bench.options(__doc__, "fewer and shorter turns").parse_args()
    nginx_program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    for name, found in (("nginx", nginx_program), ("h2load", shutil.which("h2load")),
                        ("taskset", shutil.which("taskset")), ("curl", shutil.which("curl"))):
        if not found:
            raise Skip(f"{name} is not installed (tests/packages.txt, bench)")
    if os.geteuid() != 0:
        raise Skip("nginx reads this run's files as root")
    version = subprocess.run([nginx_program, "-v"], stderr=subprocess.PIPE, text=True, check=True).stderr.strip()
    played = hub_bench.play("http", options, lambda work: Hubs(options.build, work),
                            lambda fed, figures: measure(fed, figures, nginx_program, 3 if options.quick else TURNS,
                                                         4 if options.quick else 1),
                            nginx=version.rpartition("/")[2], load_1min=os.getloadavg()[0])
    return 0 if played else 1


if __name__ == "__main__":
    sys.exit(run(main))
