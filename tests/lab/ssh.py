"""A server that speaks SSH's first line on any port, and writes down what it hears.

    ssh.py ADDRESS PORT FILE
"""

import socket
import sys

address, port, file = sys.argv[1], int(sys.argv[2]), sys.argv[3]
door = socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
while True:
    client, _ = door.accept()
    with client, open(file, "ab", buffering=0) as heard:
        client.settimeout(5)
        try:
            client.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")
            while piece := client.recv(4096):
                heard.write(piece)
        except OSError:
            pass
