"""The machine that figures hold for."""

import datetime
import os
import platform
import subprocess


def _first(path, default="unknown"):
    try:
        with open(path, encoding="utf-8") as f:
            return f.readline().strip() or default
    except OSError:
        return default


def _output(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def _cpuinfo(key):
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.split(":")[0].strip() == key:
                return line.split(":", 1)[1].strip()
    return "unknown"


def _caches():
    base = "/sys/devices/system/cpu/cpu0/cache"
    found = []
    for index in sorted(os.listdir(base)) if os.path.isdir(base) else []:
        if index.startswith("index") and _first(f"{base}/{index}/type") != "Instruction":
            found.append(f"L{_first(f'{base}/{index}/level')} {_first(f'{base}/{index}/size')}")
    return ", ".join(found) or "unknown"


def _hypervisor():
    """What the kernel detected; a virtual machine's neighbours are part of its noise."""
    name = _output("systemd-detect-virt", "--vm") or _first("/sys/hypervisor/type", "")
    if name in ("", "none") and " hypervisor " in f" {_cpuinfo('flags')} ":
        return "a virtual machine"
    return name or "none"


def describe():
    """A dictionary of texts and numbers."""
    governor = _first("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "not to be seen")
    changed = _output("git", "status", "--porcelain", "--untracked-files=no")
    return {
        "cpu": _cpuinfo("model name"),
        "cpu_family_model_stepping": " ".join(_cpuinfo(k) for k in (
            "cpu family", "model", "stepping")),
        "cores": os.cpu_count(),
        "caches": _caches(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "huge_pages": _first("/sys/kernel/mm/transparent_hugepage/enabled"),
        "hypervisor": _hypervisor(),
        "governor": governor,
        "kernel": f"{platform.system()} {platform.release()}",
        "compiler": _output("cc", "--version").split("\n")[0] or "unknown",
        "load_at_start": os.getloadavg()[0],
        "revision": (_output("git", "describe", "--always", "--abbrev=12") or "unknown")
                    + (" with changes" if changed else ""),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
    }
