#!/usr/bin/env python3
"""A lead stops while it waits for another hub: test_stopping.py --build BUILD

The helper is stopped (SIGSTOP) with the lead's question under way, which may take ten minutes. Told to end, the lead
does so without the answer. (Two hubs that ended at the same moment waited for each other so.)
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import time

from scene import Failure, Scene, Task, play_out

TASK = Task("stopping", [0, 1], 1000, 16, range(0, 4))
PATIENCE_S = 60 # far less than the question may take
UNDER_WAY_S = 1.5


class StoppingScene(Scene):
    def task_yaml(self, task):
        return super().task_yaml(task) + "      peer_timeout_ms: 600000\n"


class Play:
    def __init__(self, scene):
        self.scene = scene

    def asks(self):
        """The lead asks a helper that does not answer."""
        scene = self.scene
        scene.processes[1].send_signal(signal.SIGSTOP)
        with subprocess.Popen([f"{scene.build}/appliance/cli/millrace", "round", "open", "--task", TASK.name,
                               *scene.at_hub(0)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as opening:
            time.sleep(UNDER_WAY_S)
            scene.processes[0].terminate()
            self.ends(0)
            opening.wait(PATIENCE_S)

    def ends(self, hub):
        try:
            code = self.scene.processes[hub].wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise Failure(f"hub {hub} did not end in {PATIENCE_S} s") from None
        if code != 0:
            raise Failure(f"hub {hub} ended with {code}")

    def main(self):
        scene = self.scene
        scene.start(TASK)
        self.asks()
        scene.processes[1].terminate()
        scene.processes[1].send_signal(signal.SIGCONT)
        self.ends(1)

    def stop(self):
        for process in filter(None, self.scene.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
        return self.scene.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    work = tempfile.mkdtemp(prefix="millrace-stopping-")
    return play_out(Play(StoppingScene(parser.parse_args().build, work)), TASK)


if __name__ == "__main__":
    sys.exit(main())
