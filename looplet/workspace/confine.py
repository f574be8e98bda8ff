"""Runs a program that can change files in some folders only.

    python -I confine.py landlock|mounts FOLDER... -- PROGRAM...

A program of its own, which replaces itself by the other one, because a process cannot undo this. Linux holds
it to it: Landlock (from Linux 6.2 on) refuses whatever makes, writes, moves or removes a file elsewhere, and
signals to processes outside. With `mounts`, all else is mounted read-only as well, which also keeps
modes, owners and times; that needs user namespaces. Reading and the network stay as they are.

Nothing is run if this cannot be done: exit code 126, and the reason on stderr.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Sequence

LEAST_ABI = 3
"""Landlock before this one lets files be cut short."""

_WRITE_FILE, _REFER, _TRUNCATE = 1 << 1, 1 << 13, 1 << 14
_CHANGES = _WRITE_FILE | sum(1 << bit for bit in range(4, 13)) | _REFER | _TRUNCATE
_SCOPED_ABI, _SCOPED = 6, 0b11  # abstract sockets and signals stay inside
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/tty")

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF, _MOUNT_SETATTR = 444, 445, 446, 442
_NO_NEW_PRIVILEGES = 38
_DROP_CAPABILITY, _LAST_CAPABILITY = 24, 63
_KEPT = frozenset({0, 1, 2, 3, 4, 6, 7})  # what root may do with files and their owners; all else it gives up
_NEW_NAMESPACES = 0x10000000 | 0x00020000  # users and mounts
_MS_BIND, _MS_REC, _MS_PRIVATE, _READ_ONLY, _RECURSIVE = 4096, 16384, 1 << 18, 1, 0x8000

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> int:
    if result < 0:
        problem = ctypes.get_errno()
        raise OSError(problem, f"{what}: {os.strerror(problem)}")
    return result


def _syscall(number: int, *args: object) -> int:
    return int(_libc.syscall(ctypes.c_long(number), *args))


def restrict(folders: Sequence[str]) -> None:
    """Let this process and what it starts change files in *folders* and nowhere else.

    Raises:
        OSError: The system cannot do that.
    """
    abi = _checked(_syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(1)), "landlock")
    if abi < LEAST_ABI:
        raise OSError(f"landlock {abi} is too old, {LEAST_ABI} is needed")
    scoped = abi >= _SCOPED_ABI
    handled = struct.pack("=QQQ" if scoped else "=Q", *((_CHANGES, 0, _SCOPED) if scoped else (_CHANGES,)))
    rules = _checked(
        _syscall(_CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), ctypes.c_uint(0)), "landlock"
    )
    for path in (*folders, *filter(os.path.exists, _DEVICES)):
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        allowed = struct.pack("=Qi", _CHANGES if path in folders else _WRITE_FILE | _TRUNCATE, handle)
        _checked(_syscall(_ADD_RULE, ctypes.c_int(rules), ctypes.c_int(1), allowed, ctypes.c_uint(0)), path)
        os.close(handle)
    for number in set(range(_LAST_CAPABILITY + 1)) - _KEPT:
        # Fails for those that we do not have. With some, root sees other processes whatever Landlock says.
        _libc.prctl(_DROP_CAPABILITY, number, 0, 0, 0)
    _checked(_libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0), "no_new_privs")
    _checked(_syscall(_RESTRICT_SELF, ctypes.c_int(rules), ctypes.c_uint(0)), "landlock")
    os.close(rules)


def mount_read_only(folders: Sequence[str]) -> None:
    """See everything but *folders* mounted read-only.

    Raises:
        OSError: The system does not let this user do that.
    """
    users, groups, here = os.geteuid(), os.getegid(), os.getcwd()
    _checked(_libc.unshare(_NEW_NAMESPACES), "unshare")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{users} {users} 1"),
        ("gid_map", f"{groups} {groups} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    _mount(None, "/", _MS_REC | _MS_PRIVATE)
    for folder in folders:
        _mount(folder, folder, _MS_BIND | _MS_REC)
    _set_attributes("/", _RECURSIVE, _READ_ONLY, 0)
    for folder in folders:
        _set_attributes(folder, _RECURSIVE, 0, _READ_ONLY)
    os.chdir(here)  # the way there now leads through the new mounts


def _mount(source: str | None, target: str, flags: int) -> None:
    given = None if source is None else os.fsencode(source)
    _checked(_libc.mount(given, os.fsencode(target), None, ctypes.c_ulong(flags), None), f"mount {target}")


def _set_attributes(path: str, flags: int, put: int, take: int) -> None:
    attributes = struct.pack("=QQQQ", put, take, 0, 0)
    size = ctypes.c_size_t(len(attributes))
    at = ctypes.c_int(-100), os.fsencode(path), ctypes.c_uint(flags), attributes, size
    _checked(_syscall(_MOUNT_SETATTR, *at), f"mount_setattr {path}")


def main(arguments: Sequence[str]) -> None:
    """Become the program. Exits with 126 if it cannot be confined or does not start."""
    how, *rest = arguments
    end = rest.index("--")
    folders, program = rest[:end], rest[end + 1 :]
    try:
        if how == "mounts":
            mount_read_only(folders)
        restrict(folders)
        os.execvp(program[0], program)
    except (OSError, AttributeError) as problem:
        sys.stderr.write(f"cannot confine {program[0]}: {problem}\n")
        os._exit(126)


if __name__ == "__main__":
    main(sys.argv[1:])
