"""The table of what a device costs for docs/performance.md, from the summary of the bench `cost`."""

import re

NAME = re.compile(r"(cost\.(\d+)_of_(\d+)(?:\.threads_(\d+))?\.(fresh|kept))\.user_ms")
PARTS = ("user", "system", "lead_control", "lead_workers", "helper_control")


def markdown(summary):
    medians = {f["name"]: f["median"] for f in summary["figures"]}
    text = ("\nMilliseconds a device: user and system time of both hubs, and both together of the threads that bound how many "
            "devices a hub bears.\n\n"
            "| devices | values | control threads | connections | user | system | lead: control thread | its workers | helper: control thread |\n"
            "| ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: |\n")
    for name in medians:
        if found := NAME.fullmatch(name):
            cells = [f"{int(found[2]):,}", f"{int(found[3]):,}", found[4] or "1", found[5]]
            cells += [f"{medians[f'{found[1]}.{part}_ms']:.3g}" for part in PARTS]
            text += "| " + " | ".join(cells) + " |\n"
    return text
