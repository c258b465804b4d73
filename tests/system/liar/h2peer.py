"""HTTP/2 over mutual TLS 1.3 with python3-h2: a client, and a server that answers by a function."""

import json
import socket
import ssl
import sys
import threading

try:
    import h2.config
    import h2.connection
    import h2.events
except ImportError:
    print("skipped: python3-h2 is not installed")
    sys.exit(77)

TIMEOUT_S = 60


def tls(side, pki, stem):
    """A context that shows <stem>.pem and wants a certificate of the same CA."""
    context = ssl.SSLContext(side)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(f"{pki}/{stem}.pem", f"{pki}/{stem}.key")
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(f"{pki}/ca.pem")
    context.set_alpn_protocols(["h2"])
    return context


class Answer:
    def __init__(self, headers, body):
        self.headers = {name.decode(): value.decode() for name, value in headers}
        self.status = int(self.headers[":status"])
        self.body = body

    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The refusal's code, or "ok"."""
        return "ok" if self.status < 300 else self.json()["code"]


class Client:
    """One connection, one request after the other. The handshake's failure may show with the first."""

    def __init__(self, port, pki, stem, ca_pki=None, host="127.0.0.1"):
        context = tls(ssl.PROTOCOL_TLS_CLIENT, pki, stem)
        if ca_pki:
            context.load_verify_locations(f"{ca_pki}/ca.pem")
        with socket.create_connection((host, port), TIMEOUT_S) as raw:
            self.socket = context.wrap_socket(raw) # which takes the descriptor over
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.h2.initiate_connection()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def close(self):
        self.socket.close()

    def ask(self, method, path, body=b"", kind="application/octet-stream", more=()):
        """`more`: further headers."""
        if isinstance(body, dict):
            body, kind = json.dumps(body).encode(), "application/json"
        stream = self.h2.get_next_available_stream_id()
        headers = [(":method", method), (":scheme", "https"), (":authority", "hub"), (":path", path)]
        if body:
            headers += [("content-length", str(len(body)))] + ([("content-type", kind)] if kind else [])
        headers += more
        self.h2.send_headers(stream, headers, end_stream=not body)
        received, parts = [], []
        while True:
            body = self.send_what_fits(stream, body)
            self.flush()
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the hub closed the connection")
            for event in self.h2.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    received = event.headers
                elif isinstance(event, h2.events.DataReceived):
                    parts.append(event.data)
                    self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
                elif isinstance(event, h2.events.StreamReset):
                    raise ConnectionError(f"stream reset: {event.error_code}")
                elif isinstance(event, h2.events.StreamEnded):
                    self.flush()
                    return Answer(received, b"".join(parts))

    def send_what_fits(self, stream, body):
        while body:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if room == 0:
                return body
            self.h2.send_data(stream, body[:room], end_stream=len(body) <= room)
            body = body[room:]
        return b""


class Server:
    """A hub's place, taken by a liar: `answer(path, body)` gives (status, body), (status, body, further headers), or None
    for silence."""

    def __init__(self, port, pki, stem, answer):
        self.answer = answer
        self.context = tls(ssl.PROTOCOL_TLS_SERVER, pki, stem)
        self.context.set_alpn_protocols(["h2"])
        self.listener = socket.create_server(("127.0.0.1", port))
        self.failures = []
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR) # wakes the accept that still holds the port
        self.thread.join()
        self.listener.close()

    def accept(self):
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(raw,), daemon=True).start()

    def serve(self, raw):
        try:
            with self.context.wrap_socket(raw, server_side=True) as connection:
                self.talk(connection)
        except OSError as problem: # the other side hung up, or did not take our certificate
            self.failures.append(str(problem))

    def talk(self, connection):
        session = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        session.initiate_connection()
        paths, bodies = {}, {}
        while True:
            connection.sendall(session.data_to_send())
            data = connection.recv(65536)
            if not data:
                return
            for event in session.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    paths[event.stream_id] = dict(event.headers)[b":path"].decode()
                    bodies[event.stream_id] = b""
                elif isinstance(event, h2.events.DataReceived):
                    bodies[event.stream_id] += event.data
                    session.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    self.reply(session, event.stream_id, paths[event.stream_id], bodies[event.stream_id])

    def reply(self, session, stream, path, body):
        answer = self.answer(path, body)
        if answer is None:
            return
        status, content, *more = answer
        if isinstance(content, dict):
            content = json.dumps(content).encode()
        session.send_headers(stream, [(":status", str(status)), ("content-length", str(len(content))), *(more[0] if more else ())],
                             end_stream=not content)
        for at in range(0, len(content), 16384): # answers here fit the windows
            session.send_data(stream, content[at:at + 16384], end_stream=at + 16384 >= len(content))
