"""The package with its extension module replaced by one that joins a fake federation (fake_module.c)."""

import importlib.machinery
import importlib.util
import json
import os
import sys

FEATURES, HIDDEN, CLASSES = 8, 4, 3  # of the fake's model


def load(package, extension):
    """(millrace, _fake): the package of that folder, over that extension module."""
    sys.path.insert(0, package)
    modules = {}
    for name in ("millrace._core", "_fake"):
        loader = importlib.machinery.ExtensionFileLoader(name, extension)
        spec = importlib.util.spec_from_file_location(name, extension, loader=loader)
        modules[name] = importlib.util.module_from_spec(spec)
        loader.exec_module(modules[name])
    sys.modules["millrace._core"] = modules["millrace._core"]
    import millrace
    return millrace, modules["_fake"]


def device_json(folder):
    """A file that can be read; the fake looks at none of it."""
    path = os.path.join(folder, "device.json")
    hub = {"name": "hub", "host": "hub.test", "port": 8443, "public_key": "00" * 32}
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"task": "default", "data_dir": ".",
                   "device": {"certificate": "device.pem", "key": "device.key", "ca": "ca.pem"},
                   "hubs": [{"index": i, **hub} for i in (4, 5)]}, f)
    return path
