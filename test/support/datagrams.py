"""Prints each datagram that arrives at a unix socket as one line of JSON. A name that begins with @ is abstract (unix(7))."""
import json
import socket
import sys
import time

name = sys.argv[1]
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind("\0" + name[1:] if name.startswith("@") else name)
print(json.dumps({"listening": name}), flush=True)
while True:
    text = listener.recv(65536).decode()
    print(json.dumps({"text": text, "monotonic": time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}), flush=True)
