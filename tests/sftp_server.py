# ruff: noqa: N802 - the package names what it calls in its own way.
"""An SFTP server as a process of its own: Twisted Conch, over one folder, for one user.

Run as a script with a file of settings in JSON. It prints its port once it listens.
"""

import json
import os
import stat
import sys
from pathlib import Path

from twisted.conch.avatar import ConchUser
from twisted.conch.checkers import InMemorySSHKeyDB, SSHPublicKeyChecker
from twisted.conch.interfaces import ISFTPServer
from twisted.conch.ssh import filetransfer, keys
from twisted.conch.ssh.factory import SSHFactory
from twisted.conch.ssh.session import SSHSession
from twisted.conch.unix import SFTPServerForUnixConchUser
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import Portal
from twisted.internet import reactor
from twisted.python.components import registerAdapter
from twisted.python.filepath import FilePath


class Guest(ConchUser):
    """The one user, who may do what this process may."""

    def __init__(self, home: Path) -> None:
        ConchUser.__init__(self)
        self.home = home
        self.channelLookup[b"session"] = SSHSession
        self.subsystemLookup[b"sftp"] = filetransfer.FileTransferServer

    def getHomeDir(self):
        return FilePath(str(self.home))

    def _runAsUser(self, act, *args, **kwargs):
        act = [(act, args, kwargs)] if callable(act) else act
        result = None
        for one in act:
            does, given, named = one if len(one) == 3 else (*one, {})
            result = does(*given, **named)
        return result

    def logout(self):
        pass


class Files(SFTPServerForUnixConchUser):
    """The package's server, whose entries of a folder are what they are, not what they link to."""

    def _absPath(self, path):
        return str(self.avatar.home / path.decode("utf-8", "surrogateescape"))

    def realPath(self, path):
        return os.path.realpath(self._absPath(path)).encode("utf-8", "surrogateescape")

    def openDirectory(self, path):
        entries = []
        for one in os.scandir(self._absPath(path)):
            found = one.stat(follow_symlinks=False)
            name = one.name.encode("utf-8", "surrogateescape")
            entries.append((name, stat.filemode(found.st_mode).encode(), self._getAttrs(found)))
        return Opened(entries)


class Opened:
    """A folder that is being read."""

    def __init__(self, entries):
        self.entries = iter(entries)

    def __iter__(self):
        return self.entries

    def __next__(self):
        return next(self.entries)

    def close(self):
        self.entries = iter(())


class Realm:
    """Lets everyone who proved who they are in as the one user."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def requestAvatar(self, avatar_id, mind, *interfaces):
        return interfaces[0], Guest(self.home), lambda: None


def main() -> None:
    """Serve until killed."""
    settings = json.loads(Path(sys.argv[1]).read_text())
    registerAdapter(Files, Guest, ISFTPServer)
    portal = Portal(Realm(Path(settings["home"])))
    passwords = InMemoryUsernamePasswordDatabaseDontUse()
    if settings["password"]:
        passwords.addUser(settings["user"].encode(), settings["password"].encode())
    portal.registerChecker(passwords)
    mine = keys.Key.fromString(settings["client_key"].encode())
    portal.registerChecker(
        SSHPublicKeyChecker(InMemorySSHKeyDB({settings["user"].encode(): [mine]}))
    )
    factory = SSHFactory()
    factory.portal = portal
    host_key = keys.Key.fromFile(settings["host_key"])
    factory.privateKeys = {host_key.sshType(): host_key}
    factory.publicKeys = {host_key.sshType(): host_key.public()}
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    sys.stdout.write(f"{port.getHost().port}\n")
    sys.stdout.flush()
    reactor.run(installSignalHandlers=True)


if __name__ == "__main__":
    main()
