#!/usr/bin/env python3
"""The list of what ships has the shape of CycloneDX, names what is linked, and hashes what is there."""

import hashlib
import os
import re
import sys

import elf
import sbom


def main(build):
    os.environ["SOURCE_DATE_EPOCH"] = "1700000000"
    bom = sbom.make(build)
    assert bom["bomFormat"] == "CycloneDX" and bom["specVersion"] == "1.5", bom
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", bom["serialNumber"])
    assert bom["metadata"]["timestamp"] == "2023-11-14T22:13:20Z", bom["metadata"]
    parts = {c["bom-ref"]: c for c in bom["components"]}
    assert len(parts) == len(bom["components"]), "two components with one name"
    for component in bom["components"]:
        assert component["type"] in ("application", "library") and component["name"]
        assert component["version"] not in ("", "unknown"), component
        assert re.fullmatch(r"[0-9a-f]{64}", component["hashes"][0]["content"])
    for name, _ in sbom.SHIPPED:
        path = os.path.join(build, name)
        with open(path, "rb") as f:
            digest = hashlib.sha256(f.read()).hexdigest()
        assert parts[f"millrace:{os.path.basename(name)}"]["hashes"][0]["content"] == digest, name
        for needed in elf.Elf(path).needed():
            if "millrace" not in needed and not needed.startswith("ld-linux"):
                assert f"lib:{needed}" in parts, f"{name} is linked with {needed}, which is not listed"
    for entry in bom["dependencies"]:
        assert all(ref in parts for ref in entry["dependsOn"]), entry
    assert sbom.make(build) == bom, "the same build gives another list"
    print(f"{len(parts)} components")


if __name__ == "__main__":
    main(sys.argv[1])
