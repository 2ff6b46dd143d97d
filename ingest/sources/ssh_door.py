"""Hands ssh a connection that the ingest process made: ssh runs this as its ProxyCommand.

ssh would connect by itself, past the seal of the process. So it is given a socket that was opened
inside the seal, over a Unix socket whose path is the one argument. Standard library only: it runs
as a script, without this package.

Source: ssh_config(5), ProxyUseFdpass.
"""

import socket
import sys


def main() -> None:
    """Take one connection from the Unix socket and pass it on to ssh, which is our standard output.

    ssh takes one byte with it.
    """
    with socket.socket(socket.AF_UNIX) as door:
        door.settimeout(20)
        door.connect(sys.argv[1])
        _, handles, _, _ = socket.recv_fds(door, 1, 1)
    with socket.socket(fileno=1) as ssh:
        socket.send_fds(ssh, [b"\0"], handles[:1])


if __name__ == "__main__":
    main()
