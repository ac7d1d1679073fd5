"""Runs a program as a container engine does: boxed.py ROOT FOLDER USER WRITABLE NAME=VALUE... -- PROGRAM [ARGUMENT]...

Starts in mount and process namespaces of its own (unshare --mount --pid --fork): ROOT becomes the root, read-only but for the
folder WRITABLE and an empty /tmp, with /proc and the few devices that every container has. USER is a number; 0 stays what it is.
"""
import os
import subprocess
import sys

root, folder, user, writable = sys.argv[1:5]
cut = sys.argv.index("--")
environment = dict(assignment.split("=", 1) for assignment in sys.argv[5:cut])
command = sys.argv[cut + 1 :]


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


mount("--make-rprivate", "/")
mount("--bind", root, root)
mount("--bind", root + writable, root + writable)
os.makedirs(root + "/proc", exist_ok=True)
os.makedirs(root + "/tmp", exist_ok=True)
os.makedirs(root + "/dev", exist_ok=True)
mount("-t", "proc", "proc", root + "/proc")
mount("-t", "tmpfs", "-o", "mode=1777,noexec,nosuid,nodev,size=16m", "tmpfs", root + "/tmp")
for device in ("null", "zero", "full", "random", "urandom"):
    open(f"{root}/dev/{device}", "w", encoding="ascii").close()
    mount("--bind", f"/dev/{device}", f"{root}/dev/{device}")
mount("-o", "remount,bind,ro", root)

os.chroot(root)
os.chdir(folder)
if user != "0":
    os.setgroups([])
    os.setgid(int(user))
    os.setuid(int(user))
os.umask(0o022)
os.execve(command[0], command, environment)
