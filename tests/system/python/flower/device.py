"""What a user of Flower writes: device.py APP DEVICE_JSON PARTITION PARTITIONS ROUNDS RUN_CONFIG"""

import importlib
import json
import sys

import millrace.flower

app = importlib.import_module(sys.argv[1]).app
for outcome in millrace.flower.start_client_app(
        sys.argv[2], app, node_config={"partition-id": int(sys.argv[3]), "num-partitions": int(sys.argv[4])},
        run_config=json.loads(sys.argv[6]), rounds=int(sys.argv[5]), patience=60):
    print(outcome, flush=True)
