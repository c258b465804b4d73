#!/usr/bin/env python3
"""How a real hub starts, and whom its log can hold up: nobody.

  test_start.py MILLRACE MILLRACE-HUB SOURCE_ROOT
"""
import datetime
import fcntl
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import unittest

MILLRACE, HUB, SOURCE = (os.path.abspath(path) for path in sys.argv[1:4])
LONG_S = 60
ABSENT = "192.0.2.10" # of no machine (RFC 5737)
F_SETPIPE_SZ = 1031


class Start(unittest.TestCase):
    """Hub 0 of two: it leads, so it has upload ports."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="millrace-start-")
        self.hub = None
        header = b'{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'
        with open(f"{self.folder}/model.safetensors", "wb") as f:
            f.write(struct.pack("<Q", len(header)) + header + bytes(16))
        self.file = f"{self.folder}/hub-0.yaml"
        self.log = f"{self.folder}/hub-0.log"
        self.init("127.0.0.1", "port: 0")

    def init(self, host, port, uploads="port_base: 0"):
        """A configuration that listens there."""
        subprocess.run([MILLRACE, "config", "init", "--dir", self.folder, "--model",
                        f"{self.folder}/model.safetensors", "--hubs", "2", "--devices", "4",
                        "--force"], check=True, stdout=subprocess.DEVNULL)
        with open(self.file, encoding="utf-8") as f:
            text = f.read().replace("port: 8443", port, 1).replace("listen_host: 127.0.0.1",
                                                                   f"listen_host: {host}", 1)
        text = re.sub(r"port_base: \d+", uploads, text)
        with open(self.file, "w", encoding="utf-8") as f:
            f.write(text)

    def tearDown(self):
        if self.hub and self.hub.poll() is None:
            self.hub.kill()
            self.hub.wait()
        shutil.rmtree(self.folder)

    def start(self, *more, stderr=None, env=None, **options):
        """Its end of the ready pipe; the log goes into a file unless told otherwise."""
        ready, told = os.pipe()
        with open(self.log, "ab") as log:
            # pylint: disable-next=consider-using-with
            self.hub = subprocess.Popen([*more, HUB, "--config", self.file, "--ready-fd", str(told)],
                                        pass_fds=[told], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=stderr or log,
                                        env={**os.environ, **(env or {})}, **options)
        os.close(told)
        return ready

    def await_ready(self, ready):
        with os.fdopen(ready, "rb") as f:
            line = f.readline()
        self.assertTrue(line.startswith(b"READY"), self.lines())
        return int(line.split(b"=")[1])

    def lines(self):
        with open(self.log, encoding="utf-8") as f:
            return f.read().splitlines()

    def await_line(self, what):
        limit = time.monotonic() + LONG_S
        while True:
            found = [line for line in self.lines() if what in line]
            if found:
                return found[0]
            self.assertLess(time.monotonic(), limit, self.lines())
            time.sleep(0.02)

    def stop(self, code=0):
        self.hub.send_signal(signal.SIGTERM)
        self.assertEqual(self.hub.wait(LONG_S), code)

    def shake_hands(self, port):
        """A stranger's handshake gets as far as the server's own certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        with socket.create_connection(("127.0.0.1", port), timeout=LONG_S) as raw:
            with context.wrap_socket(raw) as tls:
                self.assertEqual(tls.selected_alpn_protocol(), "h2")

    # --- where devices send their datagrams -------------------------------------------------------

    def test_an_address_that_no_device_takes(self):
        self.change("port_base: 0", "port_base: 0\n  advertise_host: 127.0.0.2")
        self.await_ready(self.start())
        self.assertIn("advertise_host=127.0.0.2 host=127.0.0.1 name=hub-0", self.await_line(" upload.address "))
        self.stop()
        os.remove(self.log)
        self.change("name: hub-0", "name: 127.0.0.2")
        self.await_ready(self.start())
        self.stop()
        self.assertFalse([line for line in self.lines() if " upload.address " in line])

    # --- whoever reads the log -------------------------------------------------------------------

    def test_log_that_nobody_reads(self):
        reader, writer = os.pipe()
        fcntl.fcntl(writer, F_SETPIPE_SZ, 4096)
        fcntl.fcntl(writer, fcntl.F_SETFL, os.O_NONBLOCK)
        while True: # full before the first line
            try:
                os.write(writer, b"x")
            except BlockingIOError:
                break
        fcntl.fcntl(writer, fcntl.F_SETFL, 0)
        port = self.await_ready(self.start(stderr=writer))
        for _ in range(30): # strangers
            with socket.create_connection(("127.0.0.1", port), timeout=LONG_S) as stranger:
                stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
        self.shake_hands(port)
        self.assertFalse(fcntl.fcntl(writer, fcntl.F_GETFL) & os.O_NONBLOCK)
        self.stop()
        os.close(reader)
        os.close(writer)

    def test_log_whose_reader_is_gone(self):
        reader, writer = os.pipe()
        os.close(reader)
        port = self.await_ready(self.start(stderr=writer))
        self.shake_hands(port)
        self.stop()
        os.close(writer)

    def test_without_standard_descriptors(self):
        """No file of the hub gets the log's number."""
        port = self.await_ready(self.start("/bin/sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh"))
        for number in range(3):
            self.assertEqual(os.readlink(f"/proc/{self.hub.pid}/fd/{number}"), "/dev/null")
        self.shake_hands(port)
        self.stop()

    # --- what the log says -----------------------------------------------------------------------

    def test_errors_are_log_lines(self):
        with open(self.file, "a", encoding="utf-8") as f:
            f.write("nonsense: 1\n")
        self.start()
        self.assertEqual(self.hub.wait(LONG_S), 2)
        lines = self.lines()
        self.assertIn(" error hub.not_started code=2 why=", lines[-2])
        self.assertTrue(lines[-1].endswith(" info hub.stopped code=2"), lines)
        for line in lines:
            self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warn|info) ")

    def test_priorities_for_the_journal(self):
        with open(self.log, "ab") as log:
            about = os.fstat(log.fileno())
        port = self.await_ready(self.start(env={"JOURNAL_STREAM": f"{about.st_dev}:{about.st_ino}"}))
        with socket.create_connection(("127.0.0.1", port), timeout=LONG_S) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
        self.assertTrue(self.await_line("control.handshake_failed").startswith("<4>2"))
        self.stop()
        self.assertTrue(self.await_line("hub.stopped").startswith("<6>2"))
        self.assertEqual([line for line in self.lines() if line[:1] != "<"], [])

    # --- what is not there yet -------------------------------------------------------------------

    def test_address_that_is_not_there(self):
        self.init(ABSENT, "port: 18443")
        self.start()
        line = self.await_line("hub.waiting")
        self.assertIn(" warn hub.waiting for=addresses at_most_ms=", line)
        self.assertIn(f"cannot bind TCP {ABSENT} port 18443: Cannot assign requested address", line)
        self.stop()

    def test_address_that_does_not_come(self):
        self.init(ABSENT, "port: 18443")
        self.start()
        self.assertEqual(self.hub.wait(LONG_S), 3)
        line = self.await_line("hub.not_started")
        self.assertIn(" error hub.not_started code=3 ", line)
        self.assertIn(ABSENT, line)

    def test_port_that_is_still_taken(self):
        """The process before holds them a little longer: TCP first, then UDP."""
        with socket.socket() as tcp:
            tcp.bind(("127.0.0.1", 0))
            tcp.listen()
            with socket.socket(type=socket.SOCK_DGRAM) as udp:
                udp.bind(("0.0.0.0", 0))
                self.init("127.0.0.1", f"port: {tcp.getsockname()[1]}",
                          f"port_base: {udp.getsockname()[1]}")
                ready = self.start()
                self.assertIn("Address already in use", self.await_line("hub.waiting"))
                tcp.close()
        self.await_ready(ready)
        self.stop()

    def test_started_twice(self):
        """Whose ports they are is said: the ports are waited for, the hub that has data_dir is not."""
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            udp.bind(("127.0.0.1", 0))
            self.init("127.0.0.1", f"port: {tcp.getsockname()[1]}", f"port_base: {udp.getsockname()[1]}")
        self.await_ready(self.start())
        first = self.hub
        self.start()
        self.assertEqual(self.hub.wait(LONG_S), 4)
        self.assertRegex(self.await_line("hub.not_started"), "code=4 why=\"data_dir: .* is in use by another hub")
        self.hub = first
        self.stop()

    def test_clock_that_was_not_set(self):
        """A certificate that holds only later, as it looks to a board that believes it is 1970."""
        begin = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=30)
        self.reissue(begin)
        self.start()
        line = self.await_line("hub.waiting")
        self.assertIn(" for=clock ", line)
        self.assertIn("the clock was not set yet", line)
        self.assertEqual(self.hub.wait(LONG_S), 3)

    def reissue(self, begin):
        """The hub's certificate once more, of the same key and names, from then on."""
        pki = f"{self.folder}/pki"
        name = subprocess.run(["openssl", "x509", "-in", f"{pki}/hub-0.pem", "-noout", "-ext",
                               "subjectAltName"], check=True, stdout=subprocess.PIPE, text=True).stdout
        with open(f"{pki}/later.cnf", "w", encoding="utf-8") as f:
            f.write("[ca]\ndefault_ca=d\n[d]\ndatabase=index\nserial=serial\nnew_certs_dir=.\n"
                    "default_md=sha256\npolicy=p\nx509_extensions=e\nunique_subject=no\n[p]\n"
                    "commonName=supplied\n[e]\nsubjectAltName="
                    + name.split("\n")[1].strip().replace("IP Address", "IP") + "\n"
                    "extendedKeyUsage=serverAuth,clientAuth\nkeyUsage=critical,digitalSignature\n")
        with open(f"{pki}/index", "w", encoding="utf-8"):
            pass
        with open(f"{pki}/serial", "w", encoding="utf-8") as f:
            f.write("7777\n")
        quiet = {"cwd": pki, "check": True, "stdout": subprocess.DEVNULL,
                 "stderr": subprocess.DEVNULL}
        subprocess.run(["openssl", "req", "-new", "-key", "hub-0.key", "-subj", "/CN=hub-0", "-out",
                        "later.csr"], **quiet)
        subprocess.run(["openssl", "ca", "-batch", "-config", "later.cnf", "-cert", "ca.pem",
                        "-keyfile", "ca.key", "-in", "later.csr", "-out", "later.pem", "-notext",
                        "-startdate", begin.strftime("%Y%m%d%H%M%SZ"), "-enddate",
                        (begin + datetime.timedelta(days=9)).strftime("%Y%m%d%H%M%SZ")], **quiet)
        os.rename(f"{pki}/later.pem", f"{pki}/hub-0.pem")

    def test_disk_that_is_not_mounted(self):
        self.change("data_dir: .*", f"data_dir: {self.folder}/mount/hub")
        self.start()
        self.assertEqual(self.hub.wait(LONG_S), 3)
        self.assertIn("/mount/hub", self.await_line("hub.not_started"))

    def test_other_hubs_that_are_not_there(self):
        """Neither their names nor their machines: a hub starts alone."""
        self.change("host: 127.0.0.1\n    port: 8444", "host: no-such-hub.invalid\n    port: 8444")
        self.await_ready(self.start())
        self.stop()

    def change(self, pattern, text):
        with open(self.file, encoding="utf-8") as f:
            before = f.read()
        after = re.sub(pattern, text, before, count=1)
        self.assertNotEqual(before, after)
        with open(self.file, "w", encoding="utf-8") as f:
            f.write(after)

    # --- the unit and the page ---------------------------------------------------------------------

    def test_unit_and_page_know_the_codes(self):
        with open(f"{SOURCE}/appliance/hub/hub_exits.def", encoding="utf-8") as f:
            codes = dict(re.findall(r'MR_HUB_EXIT\((\w+), (\d+), ', f.read()))
        self.assertEqual(codes, {**codes, "STOPPED": "0", "FAILED": "1", "WRONG": "2", "NOT_YET": "3"})
        with open(f"{SOURCE}/docs/operations.md", encoding="utf-8") as f:
            table = f.read().split("| code | `millrace-hub` |", 1)[1].split("\n\n", 1)[0]
        self.assertEqual(re.findall(r"^\| (\d+) \|", table, re.M), sorted(codes.values()))
        with open(f"{SOURCE}/config/millrace-hub.service", encoding="utf-8") as f:
            unit = f.read()
        prevented = re.search(r"^RestartPreventExitStatus=(.*)$", unit, re.M).group(1).split()
        self.assertIn(codes["WRONG"], prevented)
        self.assertNotIn(codes["FAILED"], prevented)
        self.assertNotIn(codes["NOT_YET"], prevented)
        for setting in ("Restart=on-failure", "RestartSec=", "StartLimitIntervalSec=",
                        "StartLimitBurst="):
            self.assertRegex(unit, f"(?m)^{setting}")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
