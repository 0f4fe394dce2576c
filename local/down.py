"""``make down``: stop the emulator that ``make up`` or a killed demo left, and with it every job and variant process."""

from __future__ import annotations

from local import stack_process
from local.demo.__main__ import RUN_DIR

if __name__ == "__main__":
    emulator = stack_process.find(RUN_DIR)
    if emulator is None:
        print("nothing runs")
    else:
        emulator.stop()
        print(f"stopped the embedded AWS (port {emulator.port})")
