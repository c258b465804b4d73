"""The table of peers for docs/performance.md, from the summary of the bench `peers`."""

# name of the figures, what it is, servers, dropouts borne, whether inputs are validated
ROWS = (
    ("millrace", "Millrace, two hubs, w = 16, connections kept", "2, of two operators",
     "any number, at any time; a quorum of whole uploads", "no (clipped by the device itself)"),
    ("millrace_fresh", "the same, fresh connections", "2, of two operators",
     "any number, at any time; a quorum of whole uploads", "no (clipped by the device itself)"),
    ("prio3", "libprio-rs 0.18.1 Prio3SumVec", "2, of two operators",
     "any number, at any time", "**yes**, each value's range is proven"),
    ("prio3_field64", "the same circuit, 64-bit field, 3 proofs", "2, of two operators",
     "any number, at any time", "**yes**, each value's range is proven"),
    ("flower", "Flower 1.42.0 SecAgg+, 11 neighbours, threshold 6", "**1**",
     "5 of any 11 neighbours, at any stage", "no"),
    ("flower_dropouts", "the same, 5% dropped after sharing keys", "**1**",
     "5 of any 11 neighbours, at any stage", "no"),
    ("flower_full", "Flower 1.42.0, everyone a neighbour, threshold 51", "**1**",
     "49 of 100, at any stage", "no"),
    ("floor", "numpy sum, no privacy", "1", "any number", "could be: it sees them"),
)

NOTES = """
Hub CPU is that of all servers together, a device; for Millrace the user time of two real hub processes
with TLS, control, storage and UDP (what devices fetch of the next model is made once a round and is not
in it: no peer sends a model), while each peer runs inside one process without network,
TLS, framing or storage, which is to the peer's advantage. `peers.*_aggregation_ratio` leaves TLS and
control out on our side too (the hubs' workers and compute threads: opening, folding, expanding).

- **Extrapolated or partial:** Prio3 is measured on a few devices, one after another (a device's cost
  does not depend on the others, so 100 devices cost 100 times that). Flower with 11 neighbours runs all
  100 devices; with dropouts 40 of which 2 drop out (at a fixed neighbourhood the cost a device stays the
  same; its bytes are averaged over all 40). Flower with 100 neighbours would take minutes a round: one
  device of it runs all four stages of Flower's client code, and the server's work for one device is
  Flower's functions called as its workflow calls them; its final decoding is divided by 100.
- **What Prio3 has that Millrace lacks:** each upload proves that every value is in range, so that a
  device cannot push the sum further than an honest one could. Millrace's hubs cannot see what a device
  put into its share.
- **What Flower has that Millrace lacks:** one server and no second operator who must be trusted not to
  collude, and still devices may vanish at any stage: their masks are then taken out of the sum.
- **What is weaker there:** Flower 1.42.0 expands a mask by NumPy's Mersenne twister from a 32-bit seed
  (the XOR of the words of a 32-byte secret), which is not a cryptographic generator and can be searched;
  a sound generator of the same speed exists (AES-CTR), so its CPU time is not what this costs. With 11
  neighbours, six colluding ones (the threshold) and the server uncover a device. It sends eight bytes
  for each value whatever the modulus.
- Configuration: Flower `quantization_range` 256, `modulus_range` 65,536 (100 summands of 8 bits), equal
  weights; Prio3 `max_measurement` 255, `optimal_chunk_length`, no multithreading, link-time optimised
  for this CPU. CPU time of the process everywhere, never the wall's.
"""


def _shown(ms):
    return f"{ms:,.0f} ms" if ms >= 100 else f"{ms:.2g} ms"


def markdown(summary):
    medians = {f["name"]: f["median"] for f in summary["figures"]}
    text = ("\n| | sent by a device | device CPU | hub CPU a device | servers | dropouts borne | "
            "inputs validated |\n| --- | ---: | ---: | ---: | --- | --- | --- |\n")
    for name, title, servers, dropouts, validated in ROWS:
        if f"peers.{name}.hub_ms" not in medians:
            continue
        device = medians.get(f"peers.{name}.device_ms", 0)
        text += (f"| {title} | {medians[f'peers.{name}.upload_bytes'] / 1e6:,.2f} MB | "
                 f"{_shown(device) if device else '—'} | {_shown(medians[f'peers.{name}.hub_ms'])} | "
                 f"{servers} | {dropouts} | {validated} |\n")
    return text + NOTES
