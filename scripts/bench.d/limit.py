"""The limit: the same bytes over loopback sockets into synced files, with no DICOM at all.

Each object is a length and its bytes; the receiver writes them to a file of their own, syncs the
file and its folder, and answers with one byte. Every connection has a process at each end.
"""

import os
import signal
import socket
import struct
import time

from servers import Failure


def raw_tcp(parts, folder, limit):
    """Seconds that it takes to move `parts`, one connection each."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=len(parts))
    port = listener.getsockname()[1]
    children = []
    for number, _ in enumerate(parts):
        place = folder / str(number)
        place.mkdir(parents=True)
        children.append(child(lambda place=place: receive(listener, place)))
    started = time.monotonic()
    senders = [child(lambda part=part: send(port, part)) for part in parts]
    try:
        for pid in senders + children:
            wait(pid, started + limit)
    except Failure:
        for pid in senders + children:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
        raise
    finally:
        listener.close()
    return time.monotonic() - started


def child(work):
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)


def wait(pid, deadline):
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            if status:
                raise Failure(f"raw TCP ended with {status}")
            return
        time.sleep(0.001)
    raise Failure("raw TCP took too long")


def receive(listener, folder):
    connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    buffer = bytearray(1 << 20)
    view = memoryview(buffer)
    number = 0
    while head := connection.recv(8, socket.MSG_WAITALL):
        (left,) = struct.unpack("<Q", head)
        file = os.open(f"{number:07}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=place)
        while left:
            got = connection.recv_into(view[: min(left, len(buffer))])
            if not got:
                raise Failure("the sender is gone")
            done = 0
            while done < got:
                done += os.write(file, view[done:got])
            left -= got
        os.fdatasync(file)
        os.close(file)
        os.fsync(place)
        connection.sendall(b"\0")
        number += 1


def send(port, files):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for path in files:
        file = os.open(path, os.O_RDONLY)
        size = os.fstat(file).st_size
        connection.sendall(struct.pack("<Q", size), socket.MSG_MORE)
        sent = 0
        while sent < size:
            sent += os.sendfile(connection.fileno(), file, sent, size - sent)
        os.close(file)
        if not connection.recv(1):
            raise Failure("the receiver is gone")


def sync_latency(folder, size=16384, rounds=200):
    """Median seconds of appending `size` bytes and fdatasync: what the disk costs at this hour."""
    times = []
    file = os.open(folder / "sync-latency", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    data = os.urandom(size)
    for _ in range(rounds):
        started = time.perf_counter()
        os.write(file, data)
        os.fdatasync(file)
        times.append(time.perf_counter() - started)
    os.close(file)
    return sorted(times)[len(times) // 2]
