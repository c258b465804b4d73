#!/usr/bin/env python3
"""The store as its operators use it, with real hubs: test_store.py --build BUILD

Two hubs and no devices: files in F32, F16 and BF16 come in and make the same models at both, others are refused by name;
versions are listed, shown, compared, named, rolled back to, written for other people's registries, and removed when they are due.
"""

import contextlib
import functools
import hashlib
import json
import os
import resource
import signal
import struct
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tasks"))
from play import build_of, sha256  # noqa: E402 pylint: disable=wrong-import-position
from scene import Failure, Scene, Task, play_out  # noqa: E402 pylint: disable=wrong-import-position

TASK = Task("store", [0, 1], 1000, 16, range(0, 4))
KEPT = 2 # models, beside those that are needed or named
SHAPES = {"a.weight": (20, 30), "a.bias": (20,), "b": (19, 20)}


def check(truth, *what):
    if not truth:
        raise Failure(f"not so: {' '.join(map(str, what))}")


def write(path, dtype, tensors):
    header, at = {}, 0
    for name, (shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(data for _, data in tensors.values()))


def read(path):
    with open(path, "rb") as f:
        data = f.read()
    length, = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + length])
    values = {}
    for name, about in header.items():
        if name != "__metadata__":
            check(about["dtype"] == "F32", path, about)
            first, end = about["data_offsets"]
            values[name] = np.frombuffer(data[8 + length + first:8 + length + end], "<f4").reshape(about["shape"])
    return values


def small_files(ignored):
    """For a program: no file beyond a kilobyte, which is an error of the write where the signal is ignored."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN if ignored else signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))


class StoreScene(Scene):
    def task_yaml(self, task):
        return super().task_yaml(task) + f"    keep:\n      models: {KEPT}\n"


class StorePlay:
    def __init__(self, scene):
        self.scene = scene
        self.random = np.random.default_rng(7)

    def stop(self):
        return self.scene.stop()

    def ask(self, *words, hub=0):
        return self.scene.operator(hub, "model", *words, "--task", TASK.name)

    def refused(self, *words):
        """What the command says of why it does nothing; its exit code stands before it."""
        try:
            self.ask(*words)
        except Failure as failure:
            return str(failure)
        raise Failure(f"millrace model {' '.join(words)} was not refused")

    def everywhere(self, *words):
        """The same at every hub, helpers first; the model that all of them have now."""
        models = {self.ask(*words, hub=hub)["model_hash"] for hub in reversed(TASK.hubs)}
        check(len(models) == 1, "two hubs made", models)
        return models.pop()

    def path(self, name):
        return os.path.join(self.scene.work, name)

    def values(self):
        return {name: self.random.standard_normal(shape).astype("<f4") for name, shape in SHAPES.items()}

    def put(self, name, dtype, values):
        """A file of that type with these values, as others write it; its path and what its values are in F32."""
        if dtype == "BF16":
            bits = {n: (v.view("<u4") >> 16).astype("<u2") for n, v in values.items()}
            exact = {n: (b.astype("<u4") << 16).view("<f4") for n, b in bits.items()}
        else:
            bits = {n: v.astype({"F16": "<f2", "F32": "<f4", "F64": "<f8", "I64": "<i8"}[dtype]) for n, v in values.items()}
            exact = {n: b.astype("<f4") for n, b in bits.items()}
        write(self.path(name), dtype, {n: (list(b.shape), b.tobytes()) for n, b in bits.items()})
        return self.path(name), exact

    def exported(self, version, *words, name):
        told = self.ask("export", str(version), "--into", self.path(name), *words)
        check(told["written"] == self.path(name) and os.path.exists(self.path(name)), told)
        return self.path(name)

    # --- parts of the play -------------------------------------------------------------------------

    def imports(self):
        first = self.ask("show")
        check((first["version"], first["kind"]) == (1, "initial"), first)
        for number, dtype in enumerate(("F32", "F16", "BF16"), 2):
            path, exact = self.put(f"{dtype}.safetensors", dtype, self.values())
            model = self.everywhere("import", path)
            check(dtype != "F32" or model == sha256(path), "a file in F32 has another hash")
            shown = self.ask("show", "current")
            check((shown["version"], shown["model_hash"], shown["kind"]) == (number, model, "imported"), shown)
            told = read(self.exported("current", name=f"{dtype}-out.safetensors"))
            check(told.keys() == exact.keys() and all(told[n].tobytes() == exact[n].tobytes() for n in exact), dtype)
        for dtype in ("F64", "I64"):
            said = self.refused("import", self.put("other.safetensors", dtype, self.values())[0])
            check(f"'a.weight' has dtype {dtype}" in said, said)
        bad = self.values()
        bad["b"][3, 4] = np.nan
        check("finite" in self.refused("import", self.put("nan.safetensors", "F32", bad)[0]), "a NaN")
        del bad["b"]
        self.put("short.safetensors", "F32", bad)
        check(self.ask("show")["version"] == 4, "something that was refused has a version")
        print("imports: F32, F16 and BF16 to the value, the rest refused by name", flush=True)

    def names(self):
        self.ask("promote", "3")
        self.ask("promote", "4")
        self.ask("promote", "2", "--alias", "baseline")
        check([self.ask("show", name)["version"] for name in ("champion", "previous", "baseline")] == [4, 3, 2], "aliases")
        said = self.refused("promote", "4", "--alias", "12")
        check("alias" in said, said)
        said = self.refused("unalias", "nobody")
        check("no version bears the alias nobody" in said, said)
        self.ask("tag", "4", "site=berlin")
        check(self.ask("show", "champion")["tags"] == {"site": "berlin"}, self.ask("show", "champion"))
        check([row["version"] for row in self.ask("list")["models"]] == [4, 3, 2, 1], "the list")
        check([row["version"] for row in self.ask("list", "--most", "2")["models"]] == [4, 3], "the list's beginning")
        print("names: champion, previous, an alias and a tag", flush=True)

    def difference(self):
        told = {row["tensor"]: row for row in self.ask("diff", "3", "champion")["tensors"]}
        a, b = read(self.path("F16-out.safetensors")), read(self.path("BF16-out.safetensors"))
        for name in SHAPES:
            by = b[name].astype("f8") - a[name].astype("f8")
            row = told[name]
            check(row["values"] == by.size and row["changed"] == np.count_nonzero(by), row)
            check(np.isclose(row["l2"], np.linalg.norm(by)) and np.isclose(row["largest"], abs(by).max()), row)
        print("a diff says what numpy says", flush=True)

    def cut_off(self):
        """An export that the disk has no room for, or that is killed, leaves nothing that looks like a model."""
        path = self.path("cut.safetensors")
        words = ["model", "export", "4", "--into", path, "--task", TASK.name, *self.scene.at_hub(0)]
        for ignored in (True, False): # its write fails, or kills it
            done = subprocess.run([os.path.join(self.scene.build, "appliance", "cli", "millrace"), *words],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                                  preexec_fn=functools.partial(small_files, ignored))
            check(done.returncode == (1 if ignored else -signal.SIGXFSZ), done)
            check(not os.path.exists(path), "half a model bears the model's name")
            check(os.path.exists(path + ".partial") != ignored, "what was cut off", os.listdir(self.scene.work))
        said = self.refused("export", "4", "--into", path)
        check("was cut off: remove it" in said, said)
        os.unlink(path + ".partial")
        self.exported(4, name="cut.safetensors")
        said = self.refused("export", "4", "--into", path)
        check("is there already: name another place" in said, said)
        print("an export is whole, or bears another name", flush=True)

    def mlflow(self):
        folder = self.exported(4, "--format", "mlflow", name="mlflow")
        with open(os.path.join(folder, "MLmodel"), encoding="utf-8") as f:
            about = dict(line.strip().partition(":")[::2] for line in f)
        data = os.path.join(folder, about["data"].strip())
        check(about["sha256"].strip() == sha256(data) == self.ask("show", "4")["model_hash"], about)
        check(int(about["model_size_bytes"]) == os.path.getsize(data) and len(about["model_uuid"].strip()) == 32, about)
        version = json.loads(about["millrace"])
        check((version["version"], version["kind"]) == (4, "imported"), version)
        said = self.refused("export", "4", "--format", "mlflow", "--into", folder)
        check("is there already" in said, said)
        print("an MLflow model folder", flush=True)

    def oci(self):
        folder = self.exported(4, "--format", "oci", name="oci")

        def blob(about):
            kind, _, digest = about["digest"].partition(":")
            with open(os.path.join(folder, "blobs", kind, digest), "rb") as f:
                data = f.read()
            check(hashlib.sha256(data).hexdigest() == digest and len(data) == about["size"], about)
            return data

        with open(os.path.join(folder, "oci-layout"), encoding="utf-8") as f:
            check(json.load(f) == {"imageLayoutVersion": "1.0.0"}, "oci-layout")
        with open(os.path.join(folder, "index.json"), encoding="utf-8") as f:
            entry, = json.load(f)["manifests"]
        check(entry["annotations"]["org.opencontainers.image.ref.name"] == "v4", entry)
        manifest = json.loads(blob(entry))
        check(blob(manifest["config"]) == b"{}", manifest)
        layer, = manifest["layers"]
        check(hashlib.sha256(blob(layer)).hexdigest() == self.ask("show", "4")["model_hash"], manifest)
        check(manifest["annotations"]["millrace.version"] == "4", manifest)
        print("an OCI layout whose every digest holds", flush=True)

    def back(self):
        old = self.ask("show", "2")["model_hash"]
        check(self.everywhere("rollback", "2", "--note", "accuracy fell") == old, "another model")
        now = self.ask("show")
        check((now["version"], now["kind"], now["model_hash"]) == (5, "rollback", old), now)
        check("no version 77" in self.refused("rollback", "77").lower() or "77" in self.refused("rollback", "77"), "77")
        print("a rollback is version 5", flush=True)

    def damage(self):
        """A file of the store that is not what its name says is named, and the exit code says so."""
        check(self.ask("verify")["faults"] == [], "faults")
        model = self.ask("show", "3")["model_hash"]
        path = f"{self.scene.work}/hub-0/tasks/{TASK.name}/models/{model}.safetensors"
        with open(path, "r+b") as f:
            f.seek(-1, os.SEEK_END)
            last = f.read(1)
            f.seek(-1, os.SEEK_END)
            f.write(bytes([last[0] ^ 1]))
        said = self.refused("verify")
        check("exit 5" in said, said)
        with open(path, "r+b") as f:
            f.seek(-1, os.SEEK_END)
            f.write(last)
        check(self.ask("verify")["faults"] == [], "faults")
        print("verify finds a flipped bit", flush=True)

    def is_kept(self, model):
        return os.path.exists(f"{self.scene.work}/hub-0/tasks/{TASK.name}/models/{model}.safetensors")

    def removed(self):
        """What no alias holds goes, the rest stays, and its version is listed all the same."""
        models = {row["version"]: row["model_hash"] for row in self.ask("list")["models"]}
        for number in range(KEPT + 2):
            self.everywhere("import", self.put(f"more-{number}.safetensors", "F32", self.values())[0])
        self.ask("unalias", "previous")
        self.ask("gc")
        self.scene.wait_for("version 3 is removed", lambda: not self.is_kept(models[3]))
        for number in (1, 2, 4): # the first, the baseline, the champion
            check(self.is_kept(models[number]), "version", number, "is gone")
        shown = self.ask("show", "3")
        check(shown["model_hash"] == models[3], shown)
        said = self.refused("export", "3", "--into", self.path("gone.safetensors"))
        check(not os.path.exists(self.path("gone.safetensors")), "something was written")
        check("3" in said, said)
        check(self.ask("verify")["faults"] == [], "faults")
        print("gc: what nothing holds is gone", flush=True)

    def forgotten(self):
        """Who makes another model current at one hub alone is told what is left to do, there and where it is missed."""
        words = ["model", "import", self.put("alone.safetensors", "F32", self.values())[0], "--task", TASK.name]
        done = subprocess.run([os.path.join(self.scene.build, "appliance", "cli", "millrace"), *words,
                               *self.scene.at_hub(0)[:-1]], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=True)
        check("next: the same at every other hub" in done.stderr, done.stderr)
        number = self.scene.open_round(TASK)
        end = self.scene.wait_for("the end of the round", self.scene.ended, TASK, number)
        check(end["state"] == "void" and "import, roll-back or resume" in end["reason"], end)
        print("an import at one hub alone is told of", flush=True)

    def main(self):
        self.scene.add_task(TASK)
        write(f"{self.scene.work}/{TASK.name}.safetensors", "F32",
              {name: (list(shape), bytes(4 * int(np.prod(shape)))) for name, shape in SHAPES.items()})
        for hub in TASK.hubs:
            self.scene.write_hub(hub)
            self.scene.start_hub(hub)
        self.imports()
        self.names()
        self.difference()
        self.cut_off()
        self.mlflow()
        self.oci()
        self.back()
        self.damage()
        self.removed()
        self.forgotten()
        check(self.stop() == [0, 0], "a hub did not end well")


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(play_out(StorePlay(StoreScene(build_of(__doc__), tempfile.mkdtemp(prefix="millrace-store-"))), TASK))
