#!/usr/bin/python3
"""The command `millrace` as a process: usage, exit codes, files it writes. test_cli.py MILLRACE ROOT"""

import json
import os
import re
import socket
import struct
import subprocess
import sys
import unittest

import fixture

MILLRACE = ROOT = None


def run(*words, **env):
    return fixture.run(MILLRACE, *words, **env)


class WithFederation(fixture.WithFolder):
    def setUp(self):
        super().setUp()
        self.model = self.path("model.safetensors")
        header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
        with open(self.model, "wb") as f:
            f.write(struct.pack("<Q", len(header)) + header + bytes(4))

    def init(self, *more):
        return run("config", "init", "--dir", self.path("fed"), "--model", self.model, *more)

    def edit(self, file, old, new):
        """Replaces a text of a file that `init` wrote; the path and the lines before it."""
        path = self.path("fed", file)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        self.assertIn(old, text)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace(old, new))
        return path, text[:text.index(old)].count("\n")


class Usage(unittest.TestCase):
    def test_no_command(self):
        code, out, err = run()
        self.assertEqual((code, out), (2, ""))
        self.assertIn("which command?", err)

    def test_unknown_command_names_the_nearest(self):
        code, _, err = run("round", "opne")
        self.assertEqual(code, 2)
        self.assertIn("did you mean 'round open'?", err)

    def test_wrong_command_lines(self):
        for words, says in [
                (["round"], "no command 'round'"),
                (["status", "--nonsense"], "does not take --nonsense"),
                (["round", "open", "--qourum", "3"], "did you mean --quorum?"),
                (["version", "--quorum", "3"], "version does not take --quorum"),
                (["status", "extra"], "does not take 'extra'"),
                (["status", "--hub"], "--hub needs a value"),
                (["status", "--json=1"], "--json takes no value"),
                (["round", "show"], "needs its ROUND"),
                (["round", "show", "x1"], "ROUND must be a number"),
                (["round", "open", "--quorum", "-3"], "--quorum must be a whole number"),
                (["round", "open", "--quorum", "1"], "--quorum must be a whole number from 2"),
                (["round", "open", "--training", "[1]"], "--training must be a JSON object"),
                (["pki", "init"], "--dir is missing"),
                (["status"], "--ca is missing"),
                (["status", "--ca", "a", "--cert", "b", "--key", "c"], "--hub is missing"),
                (["status", "--ca", "a", "--cert", "b", "--key", "c", "--hub", "h"],
                 "--hub must be HOST:PORT"),
                (["status", "--ca", "a", "--cert", "b", "--key", "c", "--hub", "h:70000"],
                 "--hub must be HOST:PORT"),
                (["status", "--timeout-ms", "0"], "--timeout-ms must be"),
                (["task", "show", "a", "--task", "b"], "two tasks are named"),
                (["round", "watch", "--round", "0"], "--round must be"),
                (["config", "show", "hub.yaml"], "needs --effective"),
                (["config", "explain", "upload.worker"], "did you mean 'upload.workers'?"),
                (["completion", "fish"], "bash only")]:
            code, out, err = run(*words)
            self.assertEqual((code, out), (2, ""), words)
            self.assertIn(says, err, words)

    def test_help_names_every_command_and_option(self):
        code, out, _ = run("help", "--json")
        self.assertEqual(code, 0)
        tables = json.loads(out)
        text = run("--help")[1]
        self.assertEqual(text, run("help")[1])
        for row in tables["commands"]:
            self.assertIn(row["command"], text)
            code, own, _ = run(*row["command"].split(), "--help")
            self.assertEqual(code, 0)
            for option in row["options"]:
                self.assertIn(option, own)

    def test_version(self):
        code, out, _ = run("version", "--json")
        self.assertEqual(code, 0)
        self.assertRegex(json.loads(out)["version"], r"^\d+\.\d+\.\d+$")
        self.assertEqual(run("--version"), run("version"))
        self.assertRegex(run("--version")[1], r"^millrace \d+\.\d+\.\d+\n$")

    def test_errors_as_json(self):
        for words in [["round", "show", "x"], ["round", "opne"], ["status", "--hubb"],
                      ["round", "open", "--quorum", "0"], ["config", "check", "caf\udce9.yaml"]]:
            code, out, err = run(*words, "--json")
            self.assertEqual(out.count("\n"), 1, words)
            self.assertEqual(json.loads(out)["exit"], code, words)
            self.assertIn("millrace: ", err)

    def test_dp_plan(self):
        asked = ("dp", "plan", "--epsilon", "8", "--delta", "1e-6", "--rounds", "100", "--devices", "600",
                 "--dimension", "20000", "--participation", "0.1")
        code, out, err = run(*asked, "--json")
        self.assertEqual((code, err), (0, ""))
        plan = json.loads(out)
        self.assertEqual((plan["rounds_of_a_device"], plan["ring_bits"], plan["levels"]), (10, 24, 127))
        self.assertTrue(7.8 < plan["epsilon"] <= 8)
        self.assertAlmostEqual(plan["noise_multiplier"], 2.0892, 3)  # docs/privacy.md's example
        self.assertAlmostEqual(plan["error_of_the_update"], 0.6966, 3)
        for words, wanted, says in [(("--ring-bits", "16", "--dimension", "1000000"), 1, "ring: 16 bits hold"),
                                    (("--delta", "0.01"), 1, "delta: 0.01 allows one of 600"),
                                    (("--noise", "both"), 2, "hub or device"),
                                    (("--epsilon", "much"), 2, "must be a number above 0"),
                                    (("--weight-max", "1000", "--devices", "20"), 1, "weight: ")]:
            code, _, err = run(*asked, *words)
            self.assertEqual(code, wanted, words)
            self.assertIn(says, err)
        self.assertIn("--dimension is missing", run(*asked[:10])[2])

    def test_completion(self):
        code, script, _ = run("completion", "bash")
        self.assertEqual(code, 0)
        for typed, index, wanted in [("millrace ro", 1, "round"), ("millrace round o", 2, "open"),
                                     ("millrace round open --qu", 3, "--quorum"),
                                     ("millrace pki init --de", 3, "--devices"),
                                     ("millrace task s", 2, "show"), ("millrace --v", 1, "--version"),
                                     ("millrace round watch --on", 3, "--once"),
                                     ("millrace completion ba", 2, "bash"),
                                     ("millrace config explain upload.workers", 3, "upload.workers"),
                                     ("millrace config check /etc/hostn", 3, "/etc/hostname"),
                                     ("millrace config init --model /etc/hostn", 4, "/etc/hostname")]:
            probe = (f"{script}\nCOMP_WORDS=({typed}); COMP_CWORD={index}; _millrace;"
                     " printf '%s\\n' \"${COMPREPLY[@]}\"")
            out = subprocess.run(["bash", "-c", probe], stdout=subprocess.PIPE, text=True, check=True,
                                 stderr=subprocess.DEVNULL).stdout # compopt works in a completion only
            self.assertEqual(out.split()[:1], [wanted], typed)

    def test_completion_offers_nothing_for_a_free_value(self):
        script = run("completion", "bash")[1]
        probe = (f"{script}\nCOMP_WORDS=(millrace round open --quorum ''); COMP_CWORD=4; _millrace;"
                 " echo ${#COMPREPLY[@]}")
        out = subprocess.run(["bash", "-c", probe], stdout=subprocess.PIPE, text=True, check=True)
        self.assertEqual(out.stdout, "0\n")


class Docs(unittest.TestCase):
    """docs/operations.md says what the tables say."""

    def test_commands_and_exit_codes(self):
        with open(os.path.join(ROOT, "docs", "operations.md"), encoding="utf-8") as f:
            text = f.read()
        tables = json.loads(run("help", "--json")[1])
        for row in tables["exit_codes"]:
            self.assertIn(f"| {row['code']} | {row['text']} |", text)
        for row in tables["commands"]:
            words = f"{row['command']} {row['argument']}".strip()
            self.assertIn(f"| `{words}` | {row['text']} |", text)


class Config(WithFederation):
    def test_a_federation_is_written_and_checks(self):
        code, out, err = self.init("--hubs", "3", "--devices", "4", "--base-port", "20000",
                                   "--json")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(json.loads(out)["hubs"], 3)
        for hub in range(3):
            code, out, err = run("config", "check", self.path("fed", f"hub-{hub}.yaml"), "--json")
            self.assertEqual((code, err), (0, ""))
            found = json.loads(out)
            self.assertEqual((found["valid"], found["hub"], found["hubs"]), (True, hub, 3))
        with open(self.path("fed", "device-003.json"), encoding="utf-8") as f:
            device = json.load(f)
        self.assertEqual([h["port"] for h in device["hubs"]], [20000, 20001, 20002])
        self.assertTrue(os.path.exists(self.path("fed", device["device"]["key"])))
        folders = [self.path("fed", f"data-device-00{i}") for i in range(4)]
        self.assertEqual(device["data_dir"], os.path.basename(folders[3]))
        self.assertEqual([os.stat(folder).st_mode & 0o777 for folder in folders], [0o700] * 4)

    def test_what_a_device_remembers_stays(self):
        self.assertEqual(self.init()[0], 0)
        state = self.path("fed", "data-device-001", "state.json")
        with open(state, "w", encoding="ascii") as f:
            f.write("kept")
        code, _, err = self.init("--force")
        self.assertEqual((code, err), (0, ""))
        with open(state, encoding="ascii") as f:
            self.assertEqual(f.read(), "kept")
        os.rmdir(self.path("fed", "data-device-000"))
        os.symlink("data-device-001", self.path("fed", "data-device-000")) # two devices would share one
        code, _, err = self.init("--force")
        self.assertNotEqual(code, 0)
        self.assertIn("data-device-000: File exists and is no folder; remove it", err)

    def test_nothing_is_overwritten_unasked(self):
        self.assertEqual(self.init()[0], 0)
        with open(self.path("fed", "hub-0.yaml"), encoding="utf-8") as f:
            before = f.read()
        self.assertEqual(self.init("--base-port", "9000")[0], 1)
        with open(self.path("fed", "hub-0.yaml"), encoding="utf-8") as f:
            self.assertEqual(f.read(), before)
        self.assertEqual(self.init("--base-port", "9000", "--force")[0], 0)
        with open(self.path("fed", "hub-0.yaml"), encoding="utf-8") as f:
            self.assertNotEqual(f.read(), before)

    def test_a_wrong_file_is_told_with_its_line(self):
        self.assertEqual(self.init()[0], 0)
        path, before = self.edit("hub-0.yaml", "  quorum:", "  quorom:")
        code, _, err = run("config", "check", path)
        self.assertEqual(code, 5)
        self.assertIn(f"hub-0.yaml:{before + 1}: unknown key 'quorom' in section 'tasks.round';"
                      " did you mean 'quorum'?", err)

    def test_the_minimum_of_a_set_is_two_numbers(self):
        self.assertEqual(self.init("--devices", "24")[0], 0)
        path, _ = self.edit("hub-0.yaml", "      cohort_min:", "      colluders: 3\n      cohort_min:")
        code, out, err = run("config", "check", path, "--json")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(json.loads(out)["cohorts"], [{"task": "default", "set_min": 23, "honest": 20, "colluders": 3}])

    def test_two_tasks_on_one_model_are_told(self):
        self.assertEqual(self.init()[0], 0)
        path = self.path("fed", "hub-0.yaml")
        with open(path, encoding="utf-8") as f:
            text = f.read()
        first = text.index("  - name: default")
        end = first + re.search(r"(?m)^\S|\Z", text[first:]).start()
        second = text[first:end].replace("name: default", "name: voices")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text[:end] + second + text[end:])
        code, out, err = run("config", "check", path, "--json")
        self.assertEqual(code, 0, err)
        self.assertIn("task voices: begins with the same model file as task default", err)
        self.assertIn('metadata={"task": "voices"}', json.loads(out)["warnings"][-1])
        found = {c["name"]: c for c in json.loads(run("doctor", "--json", path)[1])["checks"]}
        self.assertEqual(found["config"]["level"], "warn", found["config"])
        self.assertIn("task voices begins with the same model", found["config"]["detail"])

    def test_the_disk_that_kept_audits_need(self):
        self.assertEqual(self.init()[0], 0)
        path = self.path("fed", "hub-0.yaml")
        self.assertNotIn("audits", json.loads(run("config", "check", path, "--json")[1]))
        path, _ = self.edit("hub-0.yaml", "      cohort_min:", "      audit_hours: 24\n      cohort_min:")
        code, out, err = run("config", "check", path, "--json")
        self.assertEqual((code, err), (0, ""))
        lead = json.loads(out)["audits"]["default"]
        path, _ = self.edit("hub-1.yaml", "      cohort_min:", "      audit_hours: 24\n      cohort_min:")
        helper = json.loads(run("config", "check", path, "--json")[1])["audits"]["default"]
        self.assertEqual((lead["audit_hours"], lead["bytes_at_deadline"]),
                         (24, lead["rounds_at_deadline"] * lead["round_bytes"]))
        self.assertEqual(helper["round_bytes"] % (32 + 192), 0) # seeds
        self.assertGreater(lead["round_bytes"], helper["round_bytes"])
        path, _ = self.edit("hub-0.yaml", "      cohort_min:", "      automatic: true\n      ring_bits: 24\n      cohort_min:")
        with open(path, encoding="utf-8") as f:
            text = f.read()
        with open(path, "w", encoding="utf-8") as f:
            f.write(re.sub("audit_hours: .*", "audit_hours: 2160\n      deadline_ms: 1000",
                           re.sub("(quorum): .*", r"\1: 16000", re.sub(" *deadline_ms: .*\n", "", text))))
        code, out, err = run("config", "check", path, "--json")
        self.assertEqual(code, 0, err)
        self.assertRegex(json.loads(out)["warnings"][-1], "task default: audit_hours 2160 keeps .* MiB free: choose fewer")

    def test_what_is_valid_and_not_wise_is_said(self):
        self.assertEqual(self.init()[0], 0)
        path = self.path("fed", "hub-0.yaml")
        self.assertEqual(json.loads(run("config", "check", path, "--json")[1])["warnings"], [])
        for extra, word in (("scale: 300000", "scale 300000 is fixed"),
                            ("cohort_max: 2000", "leaves 4 levels in a ring of 16 bits")):
            path, _ = self.edit("hub-0.yaml", "      cohort_min:", f"      {extra}\n      cohort_min:")
            code, out, err = run("config", "check", path, "--json")
            self.assertEqual(code, 0)
            self.assertTrue(any(word in x for x in json.loads(out)["warnings"]), out)
            self.assertRegex(err, rf"millrace: warning: task default: round: .*{word}")

    def test_what_is_in_force_is_a_configuration(self):
        self.assertEqual(self.init()[0], 0)
        path, _ = self.edit("hub-0.yaml", "      cohort_min:",
                            "      training: '{\"note\": \"it''s # one: word\"}'\n"
                            "      scale: 0.00012345678\n      cohort_min:")
        code, shown, err = run("config", "show", "--effective", path)
        self.assertEqual((code, err), (0, ""))
        elsewhere = self.path("effective.yaml")
        with open(elsewhere, "w", encoding="utf-8") as f:
            f.write(shown)
        self.assertEqual(run("config", "check", elsewhere)[0], 0)
        self.assertEqual(run("config", "show", "--effective", elsewhere)[1], shown)
        values = json.loads(run("config", "show", "--effective", path, "--json")[1])
        self.assertEqual(values, json.loads(run("config", "show", "--effective", elsewhere, "--json")[1]))
        policy = values["tasks"][0]["round"]
        self.assertEqual(policy["training"], '{"note": "it\'s # one: word"}')
        self.assertAlmostEqual(policy["scale"], 0.00012345678, 10)
        self.assertEqual(policy["rotation_log2"], "auto")
        self.assertEqual((policy["automatic"], policy["peer_timeout_ms"]), (False, 30000)) # defaults
        for row in json.loads(run("config", "explain", "--json")[1])["keys"]:
            place = values
            for part in row["key"].split("."):
                self.assertIn(part, place, row["key"])
                place = place[part][0] if isinstance(place[part], list) else place[part]

    def test_what_is_wrong_cannot_be_in_force(self):
        self.assertEqual(self.init()[0], 0)
        path, _ = self.edit("hub-0.yaml", "  quorum:", "  quorom:")
        self.assertEqual(run("config", "show", "--effective", path)[0], 5)

    def test_a_key_is_explained(self):
        code, out, _ = run("config", "explain", "upload.workers")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"(?m)^default +1$")
        code, out, _ = run("config", "explain", "hubs.name", "--json")
        self.assertEqual(json.loads(out)["default"], "required")

    def test_an_empty_variable_is_no_file(self):
        for env in ({}, {"MILLRACE_CONFIG": ""}):
            code, _, err = run("status", **env)
            self.assertEqual(code, 2)
            self.assertIn("--ca is missing", err)

    def test_operator_json(self):
        self.assertEqual(self.init()[0], 0)
        path = self.path("operator.json")
        for text, says in [('{"ca": 1}', "operator.json"), ("{", "operator.json:1"),
                           ('{"ca":"a","certificate":"b","key":"c","hubs":[],"x":1}', "x"),
                           ('{"ca":"a","certificate":"b","key":"c","hubs":[]}', "no hub")]:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            code, _, err = run("status", "--config", path)
            self.assertEqual(code, 5, text)
            self.assertIn(says, err)
        self.assertEqual(run("status", "--config", self.path("none.json"))[0], 5)
        code, _, err = run("status", "--config", self.path("fed", "operator.json"), "--cert", self.path("none.pem"))
        self.assertEqual(code, 5)
        self.assertIn("none.pem: No such file", err)

    def test_unreachable(self):
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0)) # bound but not listening: connections are refused
            port = held.getsockname()[1]
            self.assertEqual(self.init()[0], 0)
            code, out, err = run("status", "--hub", f"127.0.0.1:{port}", "--hub-index", "0",
                                 "--json", MILLRACE_CONFIG=self.path("fed", "operator.json"))
        self.assertEqual(code, 3, err)
        self.assertEqual(json.loads(out)["exit"], 3)


class Key(fixture.WithFolder):
    def test_new_and_public(self):
        path = self.path("hub.sign.key")
        code, public, err = run("key", "new", path)
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(public, r"\A[0-9a-f]{64}\n\Z") # as a public_key_file wants it
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        with open(path, encoding="ascii") as f:
            secret = f.read()
        self.assertRegex(secret, r"\A[0-9a-f]{64}\n\Z")
        self.assertEqual(run("key", "public", path), (0, public, ""))
        self.assertEqual(json.loads(run("key", "public", path, "--json")[1]), {"file": path, "public_key": public.strip()})

    def test_nothing_is_overwritten_unasked(self):
        path = self.path("hub.sign.key")
        first = run("key", "new", path)[1]
        code, out, err = run("key", "new", path)
        self.assertEqual((code, out), (1, ""))
        self.assertIn("exists, and is left as it is", err)
        self.assertEqual(run("key", "public", path)[1], first)
        self.assertNotEqual(run("key", "new", path, "--force")[1], first)

    def test_the_public_half_is_the_right_one(self):
        """RFC 8032, section 7.1, test 1."""
        path = self.path("key")
        with open(path, "w", encoding="ascii") as f:
            f.write("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60\r\n")
        self.assertEqual(run("key", "public", path)[1],
                         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\n")

    def test_what_is_no_key(self):
        for text in ("", "ab", "g" * 64, "a" * 63, "a" * 65, "a" * 64 + " ", "a" * 64 + "\nb\n",
                     "-----BEGIN PRIVATE KEY-----\n"):
            with open(self.path("key"), "w", encoding="ascii") as f:
                f.write(text)
            code, out, err = run("key", "public", self.path("key"))
            self.assertEqual((code, out), (5, ""), text)
            self.assertIn("64 hex digits", err)
        self.assertEqual(run("key", "public", self.path("none"))[0], 5)
        code, _, err = run("key", "new", self.path("none", "key"))
        self.assertEqual(code, 1)
        self.assertIn("No such file", err)


class DoctorOfAHub(WithFederation):
    def ask(self, *words):
        self.assertEqual(self.init()[0], 0)
        code, out, err = run("doctor", "--json", self.path("fed", "hub-0.yaml"), *words)
        self.assertEqual(err, "")
        return code, {c["name"]: c for c in json.loads(out)["checks"]}

    def test_it_reads_the_configuration(self):
        code, found = self.ask()
        self.assertEqual(found["config"]["level"], "ok")
        self.assertIn("hub 0, 1 tasks, leads 1", found["config"]["detail"])
        self.assertIn("of staging", found["memory"]["detail"])
        self.assertIn(self.path("fed") + ": 64 KiB written", found["disk"]["detail"]) # where data_dir will be
        self.assertEqual(code, 1 if any(c["level"] == "missing" for c in found.values()) else 0)

    def test_limits_and_buffers_are_the_configured_ones(self):
        self.assertEqual(self.init()[0], 0)
        path, _ = self.edit("hub-0.yaml", "control:\n", "control:\n  connections_max: 999999\n")
        self.edit("hub-0.yaml", "upload:\n", "upload:\n  receive_buffer_bytes: 70000\n")
        found = {c["name"]: c for c in json.loads(run("doctor", "--json", path)[1])["checks"]}
        self.assertIn("control.connections_max 999999", found["open_files"]["detail"])
        self.assertEqual(found["receive_buffer"]["level"], "ok")

    def test_a_hub_that_would_not_start(self):
        self.assertEqual(self.init()[0], 0)
        path, _ = self.edit("hub-0.yaml", "  quorum:", "  quorom:")
        code, out, _ = run("doctor", "--json", path)
        found = {c["name"]: c for c in json.loads(out)["checks"]}
        self.assertEqual((code, found["config"]["level"]), (1, "missing"))
        self.assertIn("unknown key 'quorom'", found["config"]["detail"])

    @unittest.skipUnless(os.geteuid() == 0, "only root can judge as another user")
    def test_it_judges_as_the_hubs_user(self):
        os.chmod(self.dir, 0o755)
        self.assertEqual(self.init()[0], 0)
        os.chmod(self.path("fed", "pki"), 0o755)
        for user, level in (("nobody", "missing"), ("root", "ok")):
            code, out, _ = run("doctor", "--json", "--user", user, self.path("fed", "hub-0.yaml"))
            found = {c["name"]: c for c in json.loads(out)["checks"]}
            self.assertEqual(found["config"]["level"], level, found["config"])
            self.assertEqual(code, 1 if user == "nobody" else code)
        self.assertEqual(run("doctor", "--user", "no-such-user")[0], 2)


class Doctor(fixture.WithFolder):
    def test_every_finding_is_whole(self):
        code, out, _ = run("doctor", "--json", "--dir", self.dir)
        found = json.loads(out)
        self.assertEqual(code, 1 if found["missing"] else 0)
        names = [c["name"] for c in found["checks"]]
        self.assertEqual(len(names), len(set(names)))
        self.assertTrue({"cpu", "io_uring", "udp_gro", "clock", "disk", "disk_space"} <= set(names))
        for c in found["checks"]:
            self.assertIn(c["level"], ("ok", "warn", "missing"))
            self.assertTrue(c["detail"])
            self.assertEqual(bool(c["remedy"]), c["level"] != "ok", c)

    def test_text_has_no_colour_without_a_terminal(self):
        _, out, _ = run("doctor", "--dir", self.dir)
        self.assertNotIn("\x1b", out)

    def test_a_folder_that_is_not_there(self):
        _, out, _ = run("doctor", "--json", "--dir", self.path("none"))
        for name in ("disk", "disk_space"):
            disk = next(c for c in json.loads(out)["checks"] if c["name"] == name)
            self.assertEqual(disk["level"], "warn")
            self.assertIn("none", disk["detail"])

    def test_room(self):
        """What is free is what the file system says; little is a warning."""
        _, out, _ = run("doctor", "--json", "--dir", self.dir)
        found = next(c for c in json.loads(out)["checks"] if c["name"] == "disk_space")
        said, size = map(int, re.search(r": (\d+) MiB of (\d+) MiB are free$", found["detail"]).groups())
        about = os.statvfs(self.dir)
        self.assertEqual(size, about.f_blocks * about.f_frsize >> 20)
        self.assertLess(abs(said - (about.f_bavail * about.f_frsize >> 20)), 1 + size // 10)
        self.assertEqual(found["level"], "warn" if said < max(1024, size // 20) else "ok")


if __name__ == "__main__":
    MILLRACE, ROOT = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1], verbosity=1)
