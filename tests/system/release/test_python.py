#!/usr/bin/env python3
"""An application in Python gets its model: pulled, judged, put back: test_python.py --build BUILD"""

import os
import subprocess
import sys

from play import TASK, Consumer, Failure, Play, build_of, run, sha256


class Spoilt(Exception):
    pass


def spoilt(_):
    raise Spoilt


class PythonPlay(Play):
    def expect(self, found, wanted, what):
        if found != wanted:
            raise Failure(f"{what}: {found}, not {wanted}")

    def raises(self, kind, function, *arguments, code=None):
        try:
            function(*arguments)
        except kind as why:
            if code and why.code != code:
                raise Failure(f"{why!r} has another code than {code}") from why
        else:
            raise Failure(f"{function.__name__} raises nothing: {kind.__name__} is wanted")

    def model(self):
        return self.scene.round(TASK.lead, TASK, self.round())["model_hash"]

    def reports(self):
        return self.newest(TASK.lead)

    def die_judging(self, file):
        """An application that is killed when it has the new model, and nobody has said yet that it is good."""
        words = "import os, sys; sys.path.insert(0, sys.argv[1]); import millrace; " \
                "millrace.ModelFile(sys.argv[2]).install(lambda path: os._exit(9))"
        package = os.path.join(self.scene.build, "bindings", "python")
        done = subprocess.run([sys.executable, "-c", words, package, file], check=False)
        self.expect(done.returncode, 9, "the judge's end")

    def main(self):
        import millrace
        self.start()
        consumer = Consumer(self.scene, 9)
        seen = []
        with millrace.Client(consumer.config) as client:
            file = millrace.ModelFile(consumer.file)
            self.expect((file.pull(client), file.install()), (False, False), "before the first release")
            first = self.model()
            self.expect(file.pull(client), True, "the first release")
            self.expect(file.state.pulled.model, first, "what waits")
            self.expect(file.install(lambda path: seen.append(sha256(path)) or True), True, "installed")
            self.expect(seen, [first], "what was judged")
            self.expect(list(file.load()), ["w"], "tensors")
            second = self.model()
            self.raises(millrace.ReleaseRefused, file.update, client, lambda path: False, 20, code="unhealthy")
            self.expect(sha256(consumer.file), first, "after one that is not well")
            self.expect(self.reports()["went_back"], 1, "reports of it")
            third = self.model()
            self.raises(Spoilt, file.update, client, spoilt, 20)
            self.expect(sha256(consumer.file), first, "after one whose judge raised")
            fourth = self.model()
            whole = file.load()["w"]
            file.installed_as = "bfloat16"
            self.expect(file.update(client, wait=20), True, "updated")
            self.expect(file.opened, ("bfloat16", sha256(consumer.file)), "what is opened")
            self.expect((file.load()["w"].view("<u4") & 0xffff).any(), False, "bits below the type's")
            self.expect((whole.view("<u4") & 0xffff).any(), True, "bits of a float32")
            self.expect(self.reports()["kept"], 1, "reports of the fourth")
            state = file.state
            self.expect([state.installed.model, state.previous.model, state.refused], [fourth, first, 2], "the state")
            self.expect(state.installed.round, 4, "its round")
            file.rollback()
            self.expect(sha256(consumer.file), first, "put back")
            self.expect(file.opened, ("float32", first), "what is opened then")
            fifth = self.model()
            self.expect(file.pull(client), True, "the fifth")
            self.die_judging(consumer.file)
            self.expect(file.state.trial, True, "nobody has judged")
            seen.clear()
            self.expect(file.update(client, lambda path: seen.append(path) or True), True, "after a death in the judge")
            self.expect((len(seen), file.state.trial, file.state.installed.model), (1, False, fifth), "judged again")
            self.expect(self.reports()["kept"], 1, "reports of the fifth")
            self.raises(ValueError, millrace.ModelFile, consumer.file, "float8")
            self.raises(millrace.ConfigError, millrace.ModelFile("/dev/null/x").rollback)
            self.expect(len({first, second, third, fourth, fifth}), 5, "models")
        self.raises(ValueError, file.pull, client)
        print("pulled, judged, put back and reported from Python", flush=True)


if __name__ == "__main__":
    build = build_of(__doc__)
    sys.path.insert(0, os.path.join(build, "bindings", "python"))
    sys.exit(run(PythonPlay, "release-python", build=build))
