"""The time of the simulation, which the function sees as the time of its machine."""

import datetime
import math
import mmap
import pathlib
import struct
import subprocess
import time

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


class Clock:
    """A clock that goes on like the real one between two settings."""

    def __init__(self, folder):
        self.library = folder / "clock.so"
        source = pathlib.Path(__file__).with_name("clock.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", self.library, source], check=True)
        self.path = folder / "clock"
        self.path.write_bytes(bytes(8))
        with self.path.open("r+b") as file:
            self.offset = mmap.mmap(file.fileno(), 8)
        self.set(START)

    @property
    def environment(self):
        """The variables that show this time to a process."""
        return {"LD_PRELOAD": str(self.library), "CHAOS_CLOCK": str(self.path)}

    def time(self):
        """The time in seconds since 1970, like `time.time`."""
        return time.time() + struct.unpack("=q", self.offset[:])[0]

    def now(self):
        return datetime.datetime.fromtimestamp(self.time(), datetime.UTC)

    def set(self, moment):
        self.offset[:] = struct.pack("=q", math.ceil(moment.timestamp() - time.time()))

    def advance(self, **time):
        self.set(self.now() + datetime.timedelta(**time))
