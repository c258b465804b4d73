#!/usr/bin/env python3
"""What a hub meets: another on its folder, HEAD, and an operator who lists rounds of different ends.

  test_hub_cases.py BUILD ROOT
"""

import json
import os
import re
import socket
import sys

from stage import Case, main
from federation import free_ports, start_hub # stage knows where it is

ROOT = os.path.abspath(sys.argv.pop(2))
IN_USE = 4 # appliance/hub/hub_exits.def


class Folder(Case):
    def test_two_processes(self):
        """As two containers on one volume: the second has other ports."""
        self.start_hubs()
        first = self.device(0, self.good)
        code, text = self.operator("round", "open", "--deadline-ms", "60000")
        self.assertEqual(code, 0, text)
        code, text = self.said(self.hub, "--config", self.second())
        self.assertEqual(code, IN_USE, text)
        self.assertIn("is in use by another hub", text)
        second = self.device(1, self.good)
        for device in (first, second):
            code, lines, err = self.heard(device)
            self.assertEqual((code, [line["result"] for line in lines]), (0, ["committed", "published"]), err)
        records = [self.record(hub) for hub in range(2)]
        self.assertEqual([record["state"] for record in records], ["published", "revealed"])
        self.assertEqual(records[0]["model_hash"], records[1]["model_hash"])
        self.fed.stop()
        self.fed.hubs.append(start_hub(self.hub, self.second(), f"{self.work}/hub-0.log")) # once it is free
        self.assertEqual(self.record(0), records[0])

    def second(self):
        port, = free_ports(1)
        upload, = free_ports(1, socket.SOCK_DGRAM)
        text = re.sub(r"(?m)^(control:\n(?:  .*\n)*?  port: )\d+", rf"\g<1>{port}", self.read("hub-0.yaml"))
        return self.file("second.yaml", re.sub(r"port_base: \d+", f"port_base: {upload}", text))

    def record(self, hub):
        return json.loads(self.read(f"hub-{hub}/tasks/default/rounds/1.json"))


class Answers(Case):
    def test_head_and_a_list_of_different_ends(self):
        self.start_hubs()
        code, text = self.operator("round", "open", "--deadline-ms", "300", "--wait")
        self.assertEqual(code, 6, text)
        code, text = self.operator("round", "list")
        self.assertEqual(code, 0, text)
        self.play(self.good)
        code, text = self.operator("round", "list")
        self.assertEqual(code, 0, text)
        self.assertRegex(text, r"(?m)^ *1 .*\bvoid\b")
        self.assertRegex(text, r"(?m)^ *2 .*\bpublished\b")
        self.assertRegex(text, r"(?m)^ *1 .* - ") # what a void round has none of
        self.head("/metrics")

    def head(self, path):
        try:
            sys.path.insert(0, os.path.join(ROOT, "tests", "system", "liar"))
            from h2peer import Client # pylint: disable=import-outside-toplevel
        except SystemExit: # says so
            return
        client = Client(self.fed.ports[0], self.fed.pki, "operator")
        self.addCleanup(client.close)
        answer = client.ask("HEAD", path)
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertEqual(client.ask("GET", path).status, 200) # on the same connection


if __name__ == "__main__":
    main()
