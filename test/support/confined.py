"""Runs a program under the limits that a service manager would set: confined.py SYSTEM_CALLS_FILE FAMILIES PROGRAM [ARGUMENT]...

What is not in the list of system calls, or a socket of another family, fails as the manager has it fail; no capability is
left, and no new privileges can be had.
"""
import ctypes
import errno
import os
import resource
import socket
import sys

calls, families, program = sys.argv[1], sys.argv[2], sys.argv[3]
seccomp = ctypes.CDLL("libseccomp.so.2", use_errno=True)
seccomp.seccomp_init.restype = ctypes.c_void_p
libc = ctypes.CDLL(None, use_errno=True)

ALLOW = 0x7FFF0000
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38


def refuse(code):
    return 0x00050000 | code


class Comparison(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def check(result, what):
    if result < 0:
        sys.exit(f"confined.py: {what}: {os.strerror(-result)}")


most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
limit = 65536 if most == resource.RLIM_INFINITY else min(65536, most)
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
for capability in range(64):
    libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
    sys.exit("confined.py: no_new_privs is refused")

context = ctypes.c_void_p(seccomp.seccomp_init(refuse(errno.EPERM)))
with open(calls, encoding="ascii") as names:
    for name in names.read().split():
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        # Negative: a system call of other machines.
        if number >= 0 and name != "socket":
            check(seccomp.seccomp_rule_add(context, ALLOW, number, 0), name)

number = seccomp.seccomp_syscall_resolve_name(b"socket")
EQUAL = 4
for family in families.split():
    same = Comparison(0, EQUAL, int(getattr(socket, family)), 0)
    check(seccomp.seccomp_rule_add_array(context, ALLOW, number, 1, ctypes.byref(same)), family)
check(seccomp.seccomp_load(context), "loading the filter")

os.execv(program, sys.argv[3:])
