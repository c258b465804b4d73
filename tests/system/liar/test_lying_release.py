#!/usr/bin/env python3
"""One of three hubs lies about releases: test_lying_release.py --build BUILD

It vouches for a version that there is none of, for another manifest of a version, for an old one;
each with its true key. Devices that need two hubs of three go on or refuse by name, those that need
all refuse; none takes what one hub alone says.
"""

import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "release"))
from play import TASK, Consumer, Failure, Play, build_of, run, sha256  # noqa: E402 pylint: disable=wrong-import-position

LIAR = 2
ROUND, TARGET, INCLUDED = slice(6, 14), slice(18, 50), slice(122, 126) # in a manifest


class LyingPlay(Play):
    def with_liar(self, change):
        """The liar's files are changed while it is away; then it signs what it finds there."""
        self.scene.processes[LIAR].terminate()
        self.scene.processes[LIAR].wait()
        change()
        self.scene.start_hub(LIAR)

    def read(self, version):
        with open(self.manifest(LIAR, version), "rb") as f:
            return bytearray(f.read())

    def write(self, version, manifest):
        with open(self.manifest(LIAR, version), "wb") as f:
            f.write(manifest)

    def expect(self, device, want):
        """By its name, or taken; a refusal changes nothing."""
        before = sha256(device.file) if os.path.exists(device.file) else None
        said = device.install(want=None)
        found = said["code"] or said["result"]
        if found != want:
            raise Failure(f"device {device.number}: {said}, not {want}")
        after = sha256(device.file) if os.path.exists(device.file) else None
        if said["code"] and after != before:
            raise Failure(f"device {device.number}: refused, and its model is another one")
        return said

    def ahead(self, two, whole):
        self.round()
        forged = self.read("2.0")
        forged[ROUND] = (99).to_bytes(8, "big")
        forged[TARGET] = os.urandom(32)
        self.with_liar(lambda: self.write("99.0", forged))
        if self.expect(two, "updated")["round"] != 2:
            raise Failure("a version that one hub made up is taken")
        self.expect(whole, "unsigned")
        self.with_liar(lambda: os.remove(self.manifest(LIAR, "99.0")))
        self.expect(whole, "updated")
        print("a version that only one hub has: not taken, and it stops nobody who needs two", flush=True)

    def other_manifest(self, two, fresh):
        true = self.read("2.0")
        forged = bytearray(true)
        forged[INCLUDED] = (7).to_bytes(4, "big")
        self.with_liar(lambda: self.write("2.0", forged))
        self.expect(two, "forked")
        self.expect(fresh, "forked")
        self.with_liar(lambda: self.write("2.0", true))
        self.expect(fresh, "updated")
        print("another manifest of a version: told by its name, nothing is taken", flush=True)

    def old_one(self, two, whole):
        """It vouches for release 2 for ever, with fresh words, when the others have 3."""
        folder = f"{self.scene.work}/hub-{LIAR}"
        self.with_liar(lambda: shutil.copytree(folder, f"{folder}-old"))
        self.round()

        def put_back():
            os.rename(folder, f"{folder}-new")
            os.rename(f"{folder}-old", folder)
        self.with_liar(put_back)
        if self.newest(LIAR)["version"] != "2.0":
            raise Failure("the liar does not lie")
        if self.expect(two, "updated")["round"] != 3:
            raise Failure("an old release stands in a newer one's way")
        self.expect(whole, "unsigned")
        print("an old version, vouched for by one hub: nobody who has a newer one takes it", flush=True)

    def main(self):
        self.start()
        two, fresh, whole = Consumer(self.scene, 9, 2), Consumer(self.scene, 10, 2), Consumer(self.scene, 11)
        self.round()
        self.expect(two, "updated")
        self.expect(whole, "updated")
        self.ahead(two, whole)
        self.other_manifest(two, fresh)
        self.old_one(two, whole)


if __name__ == "__main__":
    sys.exit(run(LyingPlay, "lying-release", build=build_of(__doc__)))
