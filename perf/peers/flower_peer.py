"""Times Flower's SecAgg+ in one process: its own workflow and its own client code, unchanged, joined
by a grid that calls instead of sending. Runs in the virtual environment that peers.py makes; prints
one line of JSON a sample.

The server's time is what the workflow spends outside the grid's calls, a device's is what the mod
spends inside. Nothing is sent: TLS, gRPC and protobuf cost this peer nothing here.

usage: flower_peer.py workflow VALUES DEVICES NEIGHBOURS DROPPED SAMPLES
       flower_peer.py full VALUES DEVICES SAMPLES
       flower_peer.py floor VALUES DEVICES SAMPLES
"""

import json
import logging
import os
import sys
import time

import numpy as np
from flwr.app import ConfigRecord, Context, Error, Message, RecordDict
from flwr.app.message_type import MessageType
from flwr.client.mod import secaggplus_mod
from flwr.common import (Code, FitIns, FitRes, Status, bytes_to_ndarray, ndarrays_to_parameters,
                         parameters_to_ndarrays)
from flwr.client.mod.secure_aggregation.secaggplus_mod import RECORD_KEY_STATE
from flwr.common.secure_aggregation.crypto.shamir import combine_shares, create_shares
from flwr.common.secure_aggregation.crypto.symmetric_encryption import encrypt, generate_shared_key
from flwr.common.secure_aggregation.ndarrays_arithmetic import (
    parameters_addition, parameters_mod, parameters_subtraction)
from flwr.common.secure_aggregation.quantization import dequantize
from flwr.common.secure_aggregation.secaggplus_constants import RECORD_KEY_CONFIGS, Key, Stage
from flwr.common.secure_aggregation.secaggplus_utils import (
    pseudo_rand_gen, share_keys_plaintext_concat)
from flwr.compat.common import recorddict_compat as compat
from flwr.server.compat.legacy_context import LegacyContext
from flwr.server.workflow import SecAggPlusWorkflow
from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD
from flwr.server.workflow.constant import Key as WorkflowKey
from flwr.supercore.primitives.asymmetric import (
    bytes_to_public_key, generate_key_pairs, public_key_to_bytes)
from flwr.supercore.task_identity import TaskIdentity

CLIP = 1.0
LEVELS = 256  # 8 bits: quantization_range
MODULUS = 1 << 16  # holds 255 summands of 8 bits: modulus_range
WEIGHT = 100  # every device has it, and it is max_weight: no precision is lost to the weighting


def cpu_s():
    return time.process_time()


class Proxy:
    """What configure_fit names a device by."""

    def __init__(self, node_id):
        self.node_id = node_id
        self.cid = str(node_id)


class Strategy:
    """Chooses every device and keeps the aggregate; the plainest strategy there can be."""

    def __init__(self, nodes):
        self.nodes = nodes
        self.aggregate = None

    def configure_fit(self, _round, parameters, _manager):
        return [(Proxy(node), FitIns(parameters, {})) for node in self.nodes]

    def aggregate_fit(self, _round, results, _failures):
        self.aggregate = results[0][1].parameters
        return None, {}


class Manager:
    def __init__(self, count):
        self.count = count

    def num_available(self):
        return self.count


def device_vector(node, values):
    """Whole quantisation levels, so that stochastic rounding leaves them alone."""
    levels = (np.arange(values, dtype=np.int64) * 7 + node * 31) % (LEVELS + 1)
    return levels * (2 * CLIP / LEVELS) - CLIP


class Grid:
    """Hands each message to the client code at once; counts the CPU time and the bytes of that."""

    def __init__(self, nodes, dropped, values):
        self.contexts = {node: Context(1, node, {}, RecordDict(), {}) for node in nodes}
        self.dropped = dropped
        self.values = values
        self.devices_s = 0.0
        self.inside_s = 0.0
        self.upload_bytes = 0

    def _train(self, node):
        vector = ndarrays_to_parameters([device_vector(node, self.values)])

        def call_next(message, _context):
            result = FitRes(Status(Code.OK, ""), vector, WEIGHT, {})
            return Message(compat.fitres_to_recorddict(result, True), reply_to=message)
        return call_next

    def _count(self, reply):
        for value in reply.content.config_records[RECORD_KEY_CONFIGS].values():
            for item in value if isinstance(value, list) else [value]:
                self.upload_bytes += len(item) if isinstance(item, bytes) else 8

    def send_and_receive(self, messages, *, timeout=None):
        del timeout
        began = cpu_s()
        replies = []
        for message in messages:
            node = message.metadata.dst_node_id
            stage = message.content.config_records[RECORD_KEY_CONFIGS][Key.STAGE]
            if stage == Stage.COLLECT_MASKED_VECTORS and node in self.dropped:
                replies.append(Message(Error(0, "dropped out"), reply_to=message))
                continue
            call_next = self._train(node)
            own = RecordDict()  # the workflow shares one content between devices; the mod takes from it
            own.config_records[RECORD_KEY_CONFIGS] = ConfigRecord(
                dict(message.content.config_records[RECORD_KEY_CONFIGS]))
            given = Message(own, dst_node_id=node, message_type=message.metadata.message_type,
                            group_id=message.metadata.group_id)
            start = cpu_s()
            reply = secaggplus_mod(given, self.contexts[node], call_next)
            self.devices_s += cpu_s() - start
            self._count(reply)
            replies.append(reply)
        self.inside_s += cpu_s() - began
        return replies


def check(strategy, nodes, dropped, values):
    """The weighted mean of the devices that stayed, to within the last bit of a double."""
    stayed = [node for node in nodes if node not in dropped]
    mean = sum(device_vector(node, values) for node in stayed) / len(stayed)
    got = parameters_to_ndarrays(strategy.aggregate)[0]
    # A device that dropped out is counted in neither; half a level over all devices is far above
    # rounding errors and far below a wrong lane.
    if np.max(np.abs(got - mean)) > CLIP / LEVELS / len(nodes) / 2:
        sys.exit("flower_peer: the sum is WRONG")


def workflow(values, devices, neighbours, dropped_count, samples):
    nodes = list(range(1, devices + 1))
    dropped = set(nodes[:dropped_count])
    for _ in range(samples):
        strategy = Strategy(nodes)
        grid = Grid(nodes, dropped, values)
        state = RecordDict()
        state.config_records[MAIN_CONFIGS_RECORD] = ConfigRecord({WorkflowKey.CURRENT_ROUND: 1})
        state.array_records[MAIN_PARAMS_RECORD] = compat.parameters_to_arrayrecord(
            ndarrays_to_parameters([np.zeros(1)]), True)
        context = LegacyContext(Context(1, 0, {}, state, {}), strategy=strategy,
                                client_manager=Manager(devices))
        run = SecAggPlusWorkflow(neighbours, neighbours // 2 + 1, max_weight=float(WEIGHT),
                                 clipping_range=CLIP, quantization_range=LEVELS,
                                 modulus_range=MODULUS)
        began = cpu_s()
        run(grid, context)
        server_s = cpu_s() - began - grid.inside_s
        if strategy.aggregate is None:
            sys.exit("flower_peer: the workflow halted")
        check(strategy, nodes, dropped, values)
        print(json.dumps({"devices": devices, "server_ms": 1e3 * server_s / devices,
                          "device_ms": 1e3 * grid.devices_s / devices,
                          "upload_bytes": grid.upload_bytes / devices}), flush=True)


class Neighbours:
    """The other devices of a full neighbourhood, as far as one device can tell: keys, and ciphertexts
    of shares. Making them is the harness's work and is not counted."""

    def __init__(self, first, count):
        self.pairs = {node: (generate_key_pairs(), generate_key_pairs())
                      for node in range(first, first + count)}

    def public_keys(self):
        return {str(node): [public_key_to_bytes(pk1), public_key_to_bytes(pk2)]
                for node, ((_, pk1), (_, pk2)) in self.pairs.items()}

    def ciphertexts(self, node, public_key_2, share_bytes):
        share = os.urandom(share_bytes)
        return [encrypt(generate_shared_key(sk2, bytes_to_public_key(public_key_2)),
                        share_keys_plaintext_concat(other, node, share, share))
                for other, (_, (sk2, _)) in self.pairs.items()]

    def unmasked(self, masked, private_seed, public_key_1, shapes):
        """What the device masked. It is node 1, below all others: it subtracted pairwise masks."""
        masked = parameters_subtraction(masked, pseudo_rand_gen(private_seed, MODULUS, shapes))
        for (sk1, _), _ in self.pairs.values():
            key = generate_shared_key(sk1, bytes_to_public_key(public_key_1))
            masked = parameters_addition(masked, pseudo_rand_gen(key, MODULUS, shapes))
        return parameters_mod(masked, MODULUS)


class LoneDevice:
    """Device 1 of a full neighbourhood: the mod, stage by stage, with its CPU time and its bytes."""

    def __init__(self, values):
        self.grid = Grid([1], set(), values)

    def stage(self, stage, **config):
        content = RecordDict()
        content.config_records[RECORD_KEY_CONFIGS] = ConfigRecord({Key.STAGE: stage, **config})
        message = Message(content, dst_node_id=1, message_type=MessageType.TRAIN)
        reply, = self.grid.send_and_receive([message])
        return reply.content.config_records[RECORD_KEY_CONFIGS]


def full_device(values, devices):
    """One device's round; (its costs, its masked vector as sent, its private seed)."""
    others = Neighbours(2, devices - 1)
    lone = LoneDevice(values)
    keys = lone.stage(Stage.SETUP, **{
        Key.SAMPLE_NUMBER: devices, Key.SHARE_NUMBER: devices, Key.THRESHOLD: devices // 2 + 1,
        Key.CLIPPING_RANGE: CLIP, Key.TARGET_RANGE: LEVELS, Key.MOD_RANGE: MODULUS,
        Key.MAX_WEIGHT: float(WEIGHT)})
    pk1, pk2 = keys[Key.PUBLIC_KEY_1], keys[Key.PUBLIC_KEY_2]
    lone.stage(Stage.SHARE_KEYS, **{"1": [pk1, pk2]}, **others.public_keys())
    sent = lone.stage(Stage.COLLECT_MASKED_VECTORS, **{
        Key.CIPHERTEXT_LIST: others.ciphertexts(1, pk2, 4 + 48),
        Key.SOURCE_LIST: list(others.pairs)})[Key.MASKED_PARAMETERS]
    seed = lone.grid.contexts[1].state.config_records[RECORD_KEY_STATE]["rd_seed"]
    lone.stage(Stage.UNMASK, **{Key.ACTIVE_NODE_ID_LIST: list(range(1, devices + 1)),
                                Key.DEAD_NODE_ID_LIST: []})
    masked = [bytes_to_ndarray(part) for part in sent]
    plain = others.unmasked(masked, seed, pk1, [part.shape for part in masked])
    expected = (np.arange(values, dtype=np.int64) * 7 + 31) % (LEVELS + 1)
    if not np.array_equal(plain[1], expected):
        sys.exit("flower_peer: the masked vector is WRONG")
    return lone.grid, sent, seed


def full(values, devices, samples):
    """A full neighbourhood: one device of it, and the server's work for one device."""
    for _ in range(samples):
        grid, sent, seed = full_device(values, devices)
        shares = create_shares(seed, devices // 2 + 1, devices)
        sum_so_far = [bytes_to_ndarray(part) for part in sent]
        began = cpu_s()
        total = parameters_addition(sum_so_far, [bytes_to_ndarray(part) for part in sent])
        secret = combine_shares(shares)
        mask = pseudo_rand_gen(secret, MODULUS, [part.shape for part in total])
        total = parameters_subtraction(total, mask)
        each_s = cpu_s() - began
        began = cpu_s()
        dequantize(parameters_mod(total, MODULUS), CLIP, LEVELS)
        once_s = cpu_s() - began
        if secret != seed:
            sys.exit("flower_peer: the recovered seed is WRONG")
        print(json.dumps({"devices": devices, "server_ms": 1e3 * (each_s + once_s / devices),
                          "device_ms": 1e3 * grid.devices_s,
                          "upload_bytes": grid.upload_bytes}), flush=True)


def floor(values, devices, samples):
    """No privacy: the server adds the vectors, one byte a value, into 16 bits a lane."""
    sent = [((np.arange(values) * 7 + node * 31) % LEVELS).astype(np.uint8).tobytes()
            for node in range(devices)]
    plain = sum(np.frombuffer(part, np.uint8).astype(np.int64) for part in sent)
    for _ in range(samples):
        total = np.zeros(values, np.uint16)
        began = cpu_s()
        for part in sent:
            np.add(total, np.frombuffer(part, np.uint8), out=total)
        took = cpu_s() - began
        if not np.array_equal(total, plain):
            sys.exit("flower_peer: the floor's sum is WRONG")
        print(json.dumps({"devices": devices, "server_ms": 1e3 * took / devices,
                          "device_ms": 0, "upload_bytes": values}), flush=True)


def main():
    logging.getLogger("flwr").setLevel(logging.ERROR)
    TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, 0, 0
    numbers = [int(x) for x in sys.argv[2:]]
    {"workflow": workflow, "full": full, "floor": floor}[sys.argv[1]](*numbers)


if __name__ == "__main__":
    main()
