"""The rooms of the tree, in the order of dependency: a room uses only rooms above it."""

ORDER = (
    "base",
    "kernels",
    "wire",
    "transport",
    "edge-client",
    "appliance/observe",
    "appliance/runtime",
    "appliance/config",
    "appliance/storage",
    "appliance/ingest",
    "appliance/aggregate",
    "appliance/upload",
    "appliance/model",
    "appliance/privacy",
    "appliance/fleet",
    "appliance/task",
    "appliance/round",
    "appliance/round/lead",
    "appliance/round/helper",
    "appliance/round/drive",
    "appliance/http",
    "appliance/api",
    "appliance/hub",
    "appliance/cli",
    "bindings/python",
)

# Rooms of one level: neither side of a pair uses the other.
APART = (
    ("edge-client", "appliance", "what a hub shares with a device is in transport/ or above"),
    ("appliance/round/lead", "appliance/round/helper", "what the two cores share is in appliance/round/"),
)


def room_of(name):
    """The room that a file is in, or None: tests, benches and the demo are in no room."""
    fits = [room for room in ORDER if name.startswith(room + "/")]
    return max(fits, key=len) if fits else None


def inside(name, folder):
    return (name + "/").startswith(folder + "/")


def why_not(user, used):
    """Why a file of the room `user` may not use one of the room `used`; None if it may."""
    if user is None or used is None or user == used:
        return None
    for left, right, why in APART:
        if (inside(user, left) and inside(used, right)) or (inside(user, right) and inside(used, left)):
            return why
    if ORDER.index(used) > ORDER.index(user):
        return f"{user} may not use {used}, which is below it"
    return None
