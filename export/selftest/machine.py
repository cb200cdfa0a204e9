"""What of a machine may change results: its CPU's name, and the instructions that kernels for integers are chosen by."""

import ctypes
import importlib
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_resnet._numpy_internals import cpu_features

X86, ARM = ("AVX2", "AVX-512", "VNNI"), ("NEON", "dotprod")
SYSTEM_NAMES = {  # of what Linux and macOS call them
    "AVX2": {"avx2", "avx2_0"},
    "AVX-512": {"avx512f"},
    "VNNI": {"avx512_vnni", "avx512vnni", "avx_vnni"},
    "NEON": {"asimd", "neon", "advsimd"},
    "dotprod": {"asimddp", "feat_dotprod"},
}
CPUID_NAMES = {"AVX2": "AVX2", "AVX-512": "AVX512F", "VNNI": "AVX512VNNI"}  # of NumPy, which asks x86 CPUs themselves
WINDOWS_NUMBERS = {"NEON": 19, "dotprod": 43}  # PF_ARM_NEON_..., PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE
CPUINFO = Path("/proc/cpuinfo")
BOARD = Path("/proc/device-tree/model")  # where ARM's cores have no name
WORDS = {True: "yes", False: "no", None: "unknown"}

Features = dict[str, bool | None]  # None where nobody tells


def describe_cpu() -> str:
    """Returns the CPU's name, and which of the instructions it has, as far as one can know."""
    machine, system = platform.machine().lower(), platform.system()
    x86 = machine in ("x86_64", "amd64", "i386", "i686")
    labels = X86 if x86 else ARM if machine.startswith(("arm", "aarch64")) else ()
    try:
        name, found = {"Linux": linux_cpu, "Darwin": mac_cpu, "Windows": windows_cpu}[system](labels)
    except (OSError, LookupError, ImportError, subprocess.SubprocessError):  # another system, or one that does not show it
        name, found = platform.processor(), dict.fromkeys(labels)
    if x86:
        found = checked(found, cpu_features())
    features = ", ".join(f"{label} {WORDS[value]}" for label, value in found.items())
    return f"{name or 'unknown CPU'} ({machine or 'unknown'}): {features or 'instructions unknown'}"


def checked(found: Features, cpuid: Mapping[str, bool]) -> Features:
    """Corrects what the system says of an x86 CPU by what the CPU says itself.

    They differ under an emulator, where Linux shows the host's. VNNI exists without AVX-512, of which NumPy does not know:
    there the system has the word, if it is right about the rest.
    """
    sure = {label: cpuid.get(name) for label, name in CPUID_NAMES.items()}
    agree = all(found[label] in (sure[label], None) for label in X86 if label != "VNNI")
    if sure["VNNI"] is False:
        sure["VNNI"] = found["VNNI"] if agree else False
    return {label: found[label] if value is None else value for label, value in sure.items()}


def linux_cpu(labels: tuple[str, ...]) -> tuple[str, Features]:
    lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    pairs = [line.split(":", 1) for line in lines if ":" in line]
    fields = {key.strip(): value.strip() for key, value in reversed(pairs)}  # of the first core
    name = fields.get("model name") or fields.get("Hardware")
    if not name and BOARD.is_file():
        name = BOARD.read_text(encoding="utf-8", errors="replace").strip("\0")
    return name or "", from_flags(labels, set((fields.get("flags") or fields.get("Features") or "").split()))


def mac_cpu(labels: tuple[str, ...]) -> tuple[str, Features]:
    command = ["sysctl", "machdep.cpu", "hw.optional"]
    text = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout
    fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    flags = {key.rpartition(".")[2].lower() for key, value in fields.items() if value == "1"}
    flags |= {word.lower() for key, value in fields.items() if key.endswith("features") for word in value.split()}
    return fields.get("machdep.cpu.brand_string", ""), from_flags(labels, flags)


def windows_cpu(labels: tuple[str, ...]) -> tuple[str, Features]:
    winreg: Any = importlib.import_module("winreg")
    with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"HARDWARE\DESCRIPTION\System\CentralProcessor\0") as key:
        name = winreg.QueryValueEx(key, "ProcessorNameString")[0].strip()
    libraries: Any = vars(ctypes)["windll"]
    has = libraries.kernel32.IsProcessorFeaturePresent
    return name, {label: bool(has(WINDOWS_NUMBERS[label])) if label in WINDOWS_NUMBERS else None for label in labels}


def from_flags(labels: tuple[str, ...], flags: set[str]) -> Features:
    return {label: bool(SYSTEM_NAMES[label] & flags) if flags else None for label in labels}
