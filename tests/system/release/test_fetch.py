#!/usr/bin/env python3
"""Models, releases and deltas by other people's programs: test_fetch.py --build BUILD [--browser]

curl and nghttp at a hub with a reader's certificate; curl at a caching nginx, which asks through haproxy
(nginx 1.22 speaks no HTTP/2 to what is behind it). --browser: Chromium, headless, at that nginx.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile

from fetchers import Curl, Nghttp, haproxy, nginx, program

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tasks"))
from scene import HOST, Devices, Failure, Scene, Task  # noqa: E402 pylint: disable=wrong-import-position
from federation import free_ports  # noqa: E402 pylint: disable=wrong-import-position

SKIP = 77
TASK = Task("ota", [0, 1], 20_000, 16, range(0, 4))
IMMUTABLE = "max-age=31536000, immutable"

# What is asked beside the path, and the answer: status, first and last byte (None: no body). {tag} is the
# body's own tag, {end} its length.
WHOLE = ("0", "{end}")
ASKED = (
    ("plain", (), 200, WHOLE),
    ("an encoding offered", (("accept-encoding", "gzip, br, zstd"),), 200, WHOLE),
    ("tag, strong", (("if-none-match", "{tag}"),), 304, None),
    ("tag, weak", (("if-none-match", "W/{tag}"),), 304, None),
    ("tag, among others", (("if-none-match", "\"x\", {tag}"),), 304, None),
    ("any tag", (("if-none-match", "*"),), 304, None),
    ("another tag", (("if-none-match", "\"x\""),), 200, WHOLE),
    ("range", (("range", "bytes=100-299"),), 206, ("100", "300")),
    ("range, to the end", (("range", "bytes=100-"),), 206, ("100", "{end}")),
    ("range, the last", (("range", "bytes=-100"),), 206, ("-100", "{end}")),
    ("range, behind the end", (("range", "bytes={end}-"),), 416, None),
    ("range, malformed", (("range", "bytes=9-1"),), 200, WHOLE),
    ("range, fresh", (("range", "bytes=100-"), ("if-range", "{tag}")), 206, ("100", "{end}")),
    ("range, stale", (("range", "bytes=100-"), ("if-range", "\"x\"")), 200, WHOLE),
    ("range, weak tag", (("range", "bytes=100-"), ("if-range", "W/{tag}")), 200, WHOLE),
    ("range of what is known", (("range", "bytes=100-"), ("if-none-match", "{tag}")), 304, None),
)
SEVERAL = (("range", "bytes=0-9,20-29"),)


def check(found, what, *values):
    if not found:
        raise Failure(f"{what}: " + " ".join(map(str, values)))


class Asking:
    """One body, by one program."""

    def __init__(self, fetcher, path, body, cache_control):
        self.fetcher = fetcher
        self.path = path
        self.body = body
        self.cache_control = cache_control
        self.tag = None

    def text(self, value):
        return value.replace("{tag}", self.tag).replace("{end}", str(len(self.body)))

    def about(self, answer, what, status, part):
        """The fields of an answer of that status."""
        where = f"{self.fetcher.name}, {self.path}, {what}"
        fields, end = answer.fields, len(self.body)
        check(answer.status == status, where, "status", answer.status, fields)
        if status != 416 or "x-cache-status" not in fields: # nginx refuses in words of its own
            check(fields.get("etag") == self.tag, where, "etag", fields)
            check(fields.get("cache-control") == self.cache_control, where, "cache-control", fields)
        check("content-encoding" not in fields, where, "encoded", fields)
        if status == 206:
            check(fields["content-range"] == f"bytes {part[0]}-{part[1] - 1}/{end}", where, fields)
        if status == 416:
            check(fields["content-range"] == f"bytes */{end}", where, fields)
        if status in (200, 206):
            check(int(fields["content-length"]) == part[1] - part[0], where, fields)
            check("x-cache-status" in fields or fields["accept-ranges"] == "bytes", where, fields)

    def ask(self, what, fields, status, part):
        end = len(self.body)
        if part:
            part = tuple(int(self.text(p)) for p in part)
            part = tuple(p + end if p < 0 else p for p in part)
        answer = self.fetcher.fetch(self.path, [(n, self.text(v)) for n, v in fields])
        self.about(answer, what, status, part)
        wanted = self.body[part[0]:part[1]] if part else b""
        where = f"{self.fetcher.name}, {self.path}, {what}"
        if answer.body is None:
            check(answer.data == len(wanted), where, "bytes", answer.data)
        elif status != 416:
            check(answer.body == wanted, where, "bytes", len(answer.body))

    def head(self, fields, status):
        answer = self.fetcher.fetch(self.path, [(n, self.text(v)) for n, v in fields], head=True)
        self.about(answer, "HEAD", status, (0, len(self.body)))
        check(not answer.body, self.path, "HEAD with a body")

    def all(self):
        """Every row; of a range that is malformed nginx has its own opinion (416)."""
        first = self.fetcher.fetch(self.path)
        rows = ASKED if "x-cache-status" not in first.fields else [r for r in ASKED if "malformed" not in r[0]]
        self.tag = first.fields["etag"]
        check(re.fullmatch(r'"[^"]+"', self.tag), self.path, "the tag is not a strong one", self.tag)
        for row in rows:
            self.ask(*row)
        self.head((), 200)
        self.head((("if-none-match", "{tag}"),), 304)

    def several(self):
        self.ask("several ranges", SEVERAL, 200, WHOLE)


class Play:
    def __init__(self, scene):
        self.scene = scene
        self.devices = None
        self.fronts = []
        self.target = self.base = None

    def certificate(self, name):
        return os.path.join(self.scene.pki, name)

    def curl(self, hub, name):
        return Curl(self.scene.work, f"https://{HOST}:{self.scene.ports[hub]}", self.certificate("ca") + ".pem",
                    self.certificate(name))

    def round(self):
        number = self.scene.open_round(TASK)
        self.devices.ask("round")
        self.devices.answer()
        end = self.scene.wait_for("the end of the round", self.scene.ended, TASK, number)
        check(end["state"] == "published", "the round", end)
        self.target, self.base = end["model_hash"], end["parent"]
        for hub in TASK.hubs:
            path = f"{self.scene.work}/hub-{hub}/tasks/{TASK.name}/releases/{number}.0.manifest"
            self.scene.wait_for(f"the release at hub {hub}", os.path.exists, path)
            self.scene.wait_for(f"hub {hub}'s delta, which nobody has asked for", self.released, hub, number)
        self.stages(number)

    def released(self, hub, number):
        """What the hub says of its release, once the delta from the model before is made too."""
        took = self.scene.round(hub, TASK, number).get("release_us", {})
        return took if took.get("delta", 0) > 0 else None

    def stages(self, number):
        """Where the round's time went: every stage is told."""
        shown = self.scene.round(TASK.lead, TASK, number)
        took = shown["stages_us"]
        check(list(took) == ["close", "freeze", "expand", "open", "model", "store"], "stages", took)
        check(all(us > 0 for us in took.values()) and "publish_ms" in shown, "stages", took)
        metrics = self.scene.run("metrics", "--hub", f"{HOST}:{self.scene.ports[TASK.lead]}", "--hub-index",
                                 str(TASK.lead), "--ca", self.certificate("ca") + ".pem", "--cert",
                                 self.certificate("operator") + ".pem", "--key", self.certificate("operator") + ".key")
        for stage in took:
            count = f'millrace_round_stage_seconds_count{{task="{TASK.name}",stage="{stage}"}} 1'
            check(count in metrics, "not in the metrics", count)

    def paths(self):
        start = f"/v1/tasks/{TASK.name}"
        return (f"{start}/models/{self.target}", f"{start}/deltas/{self.base}/{self.target}",
                f"{start}/releases/latest")

    def directly(self):
        hub = TASK.hubs[1] # not the lead: every hub serves them
        curl = self.curl(hub, "reader")
        model, delta, latest = self.paths()
        bodies = {path: curl.fetch(path).body for path in (model, delta, latest)}
        check(hashlib.sha256(bodies[model]).hexdigest() == self.target, "the model is another one")
        check(len(bodies[delta]) < len(bodies[model]), "the delta is larger than the model")
        for fetcher in (curl, Nghttp(curl.base, self.certificate("reader"))):
            for path in bodies:
                asking = Asking(fetcher, path, bodies[path], "no-cache" if path == latest else IMMUTABLE)
                asking.all()
                asking.several()
        print("curl and nghttp at a hub", flush=True)
        return bodies

    def unkept(self, bodies):
        """What only holds for now may not be kept by a cache."""
        curl = self.curl(TASK.hubs[0], "reader")
        model, _, latest = self.paths()
        for path, status in ((f"{latest}?after_round=1", 204), (model[:-64] + 64 * "0", 404), ("/nothing", 404)):
            answer = curl.fetch(path)
            check(answer.status == status, path, answer.status, answer.fields)
            check(answer.fields.get("cache-control") == "no-store", path, answer.fields)
        other = self.curl(TASK.hubs[1], "reader").fetch(model)
        check(other.body == bodies[model] and curl.fetch(model).fields["etag"] == other.fields["etag"],
              "the hubs' tags of one model differ")

    def reader_only_reads(self):
        curl = self.curl(TASK.hubs[0], "reader")
        task = f"/v1/tasks/{TASK.name}"
        for path in (f"{task}/rounds/current", f"{task}/rounds/1", f"{task}/hubs", "/metrics", "/v1/status", task,
                     f"{task}/admin/models", f"{task}/peer/standing"):
            answer = curl.fetch(path)
            check(answer.status == 403 and b"unauthorised_role" in answer.body, path, answer.status, answer.body)
        print("a reader reads models, releases and deltas, and nothing else", flush=True)

    def open_fronts(self):
        work, pages = self.scene.work, os.path.join(HERE, "pages")
        ports = free_ports(2)
        self.fronts.append(haproxy(work, ports[0], self.scene.ports[TASK.hubs[1]], self.certificate("ca") + ".pem",
                                   self.certificate("reader")))
        self.fronts.append(nginx(work, ports[1], ports[0], pages))
        return f"http://{HOST}:{ports[1]}"

    def access(self):
        with open(os.path.join(self.scene.work, "nginx-access.log"), encoding="ascii") as f:
            return f.read().splitlines()

    def through_a_cache(self, bodies):
        curl = Curl(self.scene.work, self.open_fronts())
        model, delta, latest = self.paths()
        for path in (model, delta):
            check(curl.fetch(path).fields["x-cache-status"] == "-miss", path, "was kept before it was asked for")
            Asking(curl, path, bodies[path], IMMUTABLE).all()
            check(curl.fetch(path).fields["x-cache-status"] == "-hit", path, "is not kept")
        Asking(curl, latest, bodies[latest], "no-cache").all()
        check(curl.fetch(f"{latest}?after_round=1").status == 204, "204 through a cache")
        absent = model[:-64] + 64 * "0"
        for _ in range(2):
            check(curl.fetch(absent).fields["x-cache-status"] == "-miss", "a cache kept that there is none")
        kept = [line for line in self.access() if model in line and line.endswith(" MISS")]
        check(len(kept) == 1, "the hub was asked for the model", len(kept), "times")
        fresh = [line for line in self.access() if latest in line and not line.endswith(" -")]
        check(not fresh, "the newest release came out of the cache", fresh)
        print("curl at a caching nginx", flush=True)

    def browse(self):
        """The page fetches each twice, hashes them, and says what it saw as the path of a last request."""
        base = self.open_fronts()
        model, delta, latest = self.paths()
        url = f"{base}/fetch.html?{model},{delta},{latest}"
        words = [program("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                 "--no-first-run", f"--user-data-dir={self.scene.work}/chromium", "--remote-debugging-port=0", url]
        with open(os.path.join(self.scene.work, "chromium.log"), "w", encoding="utf-8") as log:
            browser = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            said = self.scene.wait_for("the page's last request", self.page_said)
        finally:
            browser.kill()
            browser.wait()
        self.judge(said, model, delta, latest)
        print("headless Chromium at a caching nginx", flush=True)

    def page_said(self):
        return next((line.split()[1] for line in self.access() if " /done" in line), None)

    def judge(self, said, model, delta, latest):
        curl = Curl(self.scene.work, f"https://{HOST}:{self.scene.ports[TASK.hubs[1]]}",
                    self.certificate("ca") + ".pem", self.certificate("reader"))
        hashes = [hashlib.sha256(curl.fetch(path).body).hexdigest() for path in (model, delta, latest)]
        wanted = "/done/" + ",".join(f"{h}-{h}" for h in hashes) + "/206-10"
        check(said == wanted, "the page saw", said, "not", wanted)
        lines = self.access()
        for path in (model, delta): # once over the network: kept by the browser, for ever
            check(len([l for l in lines if f"GET {path} 200" in l]) == 1, "asked again", path, lines)
        answers = [l.split()[2] for l in lines if f"GET {latest} " in l]
        check(answers == ["200", "304"], "the newest release was not asked for again by its tag", lines)

    def main(self, browser):
        self.scene.run("pki", "init", "--dir", self.scene.pki, "--hubs", "3", "--devices", "4", "--readers", "1",
                       "--host", HOST, "--force")
        self.scene.add_task(TASK)
        for hub in TASK.hubs:
            self.scene.write_hub(hub)
            self.scene.start_hub(hub)
        self.devices = Devices(self.scene, TASK)
        self.round()
        if browser:
            self.browse()
            return
        bodies = self.directly()
        self.unkept(bodies)
        self.reader_only_reads()
        self.through_a_cache(bodies)

    def stop(self):
        for front in reversed(self.fronts):
            front.stop()
        if self.devices:
            self.devices.stop()
        self.scene.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--browser", action="store_true")
    arguments = parser.parse_args()
    needed = ("haproxy", "nginx") + (("chromium",) if arguments.browser else ("curl", "nghttp"))
    missing = [name for name in needed if not program(name)]
    if missing:
        print(f"skipped: not installed: {', '.join(missing)} (tests/packages.txt)")
        return SKIP
    work = tempfile.mkdtemp(prefix="millrace-fetch-")
    play = Play(Scene(arguments.build, work))
    try:
        play.main(arguments.browser)
    except Failure as failure:
        print(failure, flush=True)
        print(f"files: {work}")
        return 1
    finally:
        play.stop()
    shutil.rmtree(work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
