"""Let the kernel itself fail system calls of this process, in whatever library they are made (Linux, seccomp)."""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

# By architecture: the number of its audit, and those of the calls (include/uapi/asm/unistd.h).
ARCHITECTURES = {
    "x86_64": (
        0xC000003E,
        {"fsync": [74], "fdatasync": [75], "rename": [82, 264, 316], "link": [86, 265]},
    ),
    "aarch64": (
        0xC00000B7,
        {"fsync": [82], "fdatasync": [83], "rename": [38, 276], "link": [37]},
    ),
}
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def fail(calls: list[str], code: int = errno.EIO) -> None:
    """From now on each of ``calls`` (``fsync``, ``fdatasync``, ``rename``, ``link``) fails with ``code``, for good."""
    audit, known = ARCHITECTURES[platform.machine()]
    numbers = [number for call in calls for number in known[call]]
    instructions = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, audit), (RETURN, 0, 0, ALLOW), (LOAD, 0, 0, 0)]
    for number in numbers:
        instructions += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ERRNO | code)]
    instructions.append((RETURN, 0, 0, ALLOW))
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(_Program(len(instructions), program))
    ):
        raise OSError(ctypes.get_errno(), "this kernel lets no process fail its own system calls")
