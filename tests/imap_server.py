"""An IMAP server as a process of its own: pymap, in memory, speaking TLS from the first byte.

Run as a script with the files of a certificate and its key. It prints its port once it listens.
"""

import asyncio
import ssl
import sys
from argparse import ArgumentParser
from contextlib import AsyncExitStack

from proxyprotocol.noop import ProxyProtocolNoop
from proxyprotocol.reader import ProxyProtocolReader
from pymap.backend.dict import DictBackend
from pymap.imap import IMAPServer

USER, PASSWORD = "archive", "a password with spaces"


async def serve(certificate: str, key: str) -> None:
    """Serve until killed."""
    parser = ArgumentParser()
    DictBackend.add_subparser("dict", parser.add_subparsers(dest="backend"))
    arguments = parser.parse_args(["dict", "--demo-user", USER, "--demo-password", PASSWORD], None)
    options = {"debug": False, "host": None, "port": "0", "cert": certificate, "key": key}
    for name, value in {
        **options,
        "tls": False,
        "proxy_protocol": None,
        "passlib_cfg": None,
    }.items():
        setattr(arguments, name, value)
    backend, config = await DictBackend.init(arguments)
    config.apply_context()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    async with AsyncExitStack() as stack:
        await backend.start(stack)
        answer = ProxyProtocolReader(ProxyProtocolNoop()).get_callback(
            IMAPServer(backend.login, config)
        )
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:3]))
