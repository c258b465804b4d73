"""TCP connections from many addresses that stop in the middle of the TLS handshake, opened again
when the hub closes them, until standard input ends. Then one line of JSON: opened, closed by the hub.

usage: stall.py HUB_HOST PORT SOURCES CONNECTIONS CONNECTS_PER_SECOND
"""

import ipaddress
import json
import resource
import select
import socket
import sys
import time

# A record of the handshake that announces 512 bytes; they never come.
BEGINNING = bytes.fromhex("1603010200010001fc0303")


class Stall:
    def __init__(self, host, port, sources, connections, rate):
        self.to = (host, port)
        self.first = int(ipaddress.ip_address(sources)) + 1
        self.connections, self.rate = connections, rate
        self.open, self.opened, self.closed = {}, 0, 0
        self.poll = select.poll()
        self.poll.register(sys.stdin, select.POLLIN | select.POLLHUP)

    def begin(self):
        s = socket.socket()
        s.setblocking(False)
        s.bind((str(ipaddress.ip_address(self.first + self.opened % 65000)), 0))
        self.opened += 1
        try:
            s.connect(self.to)
        except BlockingIOError:
            pass
        self.open[s.fileno()] = s
        self.poll.register(s, select.POLLOUT)

    def end(self, fd):
        self.poll.unregister(fd)
        self.open.pop(fd).close()
        self.closed += 1

    def go_on(self, fd, events):
        """What became writable has connected: it says hello, by half, and waits for its end."""
        try:
            if events & select.POLLOUT:
                self.open[fd].send(BEGINNING)
                self.poll.modify(fd, select.POLLIN)
            elif not self.open[fd].recv(4096):
                self.end(fd)
        except OSError:
            self.end(fd)

    def run(self):
        began = time.monotonic()
        while True:
            due = (time.monotonic() - began) * self.rate
            while len(self.open) < self.connections and self.opened < due:
                self.begin()
            for fd, events in self.poll.poll(10):
                if fd == sys.stdin.fileno():
                    return
                self.go_on(fd, events)


def main():
    host, port, sources, connections, rate = sys.argv[1:]
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(65536, most), most))
    stall = Stall(host, int(port), sources, int(connections), int(rate))
    stall.run()
    print(json.dumps({"opened": stall.opened, "closed": stall.closed}))


if __name__ == "__main__":
    main()
