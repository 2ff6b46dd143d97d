"""A web server with documents below a folder: a process of its own, for the sources' tests.

``python -m tests.web_server FOLDER PORT``. ``/ROOM/...`` are the files of a room. Every folder has
an index page; a room has ``sitemap.xml``, ``manifest.json`` and ``list.txt`` made from its files.
``?`` nothing is taken. Files in a room called ``private`` want a password or a token.
"""

import base64
import hashlib
import html
import json
import sys
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

MADE = {"sitemap.xml", "manifest.json", "list.txt"}
PASSWORD = {"Basic " + base64.b64encode(b"reader:opensesame").decode(), "Bearer t0ken-t0ken"}


def app(root: Path) -> Starlette:
    def answer(request: Request) -> Response:
        room, _, rest = request.path_params["path"].partition("/")
        if room == "private" and request.headers.get("authorization") not in PASSWORD:
            return Response(status_code=401)
        if rest in MADE:
            return made(root / room, rest)
        path = root / room / rest
        if path.is_dir():
            return index(path)
        if not path.is_file():
            return Response(status_code=404)
        if path.suffix == ".redirect":
            return RedirectResponse(path.read_text())
        return document(path, request)

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "HEAD"])])


def document(path: Path, request: Request) -> Response:
    data = path.read_bytes()
    etag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
    if request.headers.get("if-match", etag) != etag:
        return Response(status_code=412)
    headers = {
        "etag": etag,
        "last-modified": formatdate(path.stat().st_mtime, usegmt=True),
        "x-department": path.parent.name,
    }
    if path.suffix == ".packed":
        headers["content-encoding"] = "gzip"
    if request.method == "HEAD":
        return Response(headers={**headers, "content-length": str(len(data))})
    return Response(data, headers=headers, media_type="text/plain")


def index(folder: Path) -> Response:
    names = sorted(f"{one.name}/" if one.is_dir() else one.name for one in folder.iterdir())
    links = "".join(f'<li><a href="{quote(name)}">{html.escape(name)}</a>' for name in names)
    sorting = '<a href="?C=N;O=D">Name</a> <a href="../">Parent</a>'
    return Response(f"<title>Index</title>{sorting}<ul>{links}</ul>", media_type="text/html")


def files(room: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(room.rglob("*")):
        if path.is_file():
            yield path.relative_to(room).as_posix(), path.read_bytes()


def made(room: Path, name: str) -> Response:
    if name == "list.txt":
        return Response("# all of it\n" + "".join(f"{quote(one)}\n" for one, _ in files(room)))
    if name == "sitemap.xml":
        urls = "".join(f"<url><loc>{quote(one)}</loc></url>" for one, _ in files(room))
        head = '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">'
        return Response(f"{head}{urls}</urlset>", media_type="application/xml")
    entries = [
        {
            "path": quote(one),
            "sha256": hashlib.sha256(data).hexdigest(),
            "size": len(data),
            "department": ["cardiology"],
        }
        for one, data in files(room)
    ]
    return Response(json.dumps({"files": entries}), media_type="application/json")


if __name__ == "__main__":
    uvicorn.run(
        app(Path(sys.argv[1])),
        host="127.0.0.1",
        port=int(sys.argv[2]),
        log_level="error",
        loop="asyncio",
    )
