"""A name server of the Internet in the lab: two sites, each with an HTTPS record that offers HTTP/3 and ECH keys.

    names.py ADDRESS PORT
"""

import socket
import struct
import sys

V4, V6 = "198.51.100.10", "2001:db8:6::10"
SITES = {"encyclopedie.test", "casino.test"}
A, AAAA, HTTPS = 1, 28, 65


def parameter(key: int, value: bytes) -> bytes:
    return struct.pack("!HH", key, len(value)) + value


# RFC 9460: priority 1, the name itself, alpn (1) and ech (5).
SERVICE = b"\0\1\0" + parameter(1, b"\2h3\2h2") + parameter(5, b"\0\4keys")
DATA = {A: socket.inet_pton(socket.AF_INET, V4), AAAA: socket.inet_pton(socket.AF_INET6, V6), HTTPS: SERVICE}


def answer(question: bytes) -> bytes:
    labels, at = [], 12
    while question[at]:
        labels.append(question[at + 1 : at + 1 + question[at]].decode("ascii", "replace").lower())
        at += 1 + question[at]
    kind = struct.unpack("!H", question[at + 1 : at + 3])[0]
    known = ".".join(labels) in SITES
    data = DATA.get(kind) if known else None
    head = question[:2] + struct.pack("!HHHHH", 0x8180 if known else 0x8183, 1, 1 if data else 0, 0, 0)
    record = struct.pack("!HHHIH", 0xC00C, kind, 1, 60, len(data)) + data if data else b""
    return head + question[12 : at + 5] + record


def main() -> None:
    address, port = sys.argv[1], int(sys.argv[2])
    door = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    door.bind((address, port))
    while True:
        question, asker = door.recvfrom(4096)
        try:
            door.sendto(answer(question), asker)
        except (IndexError, struct.error):
            continue


main()
