"""Each house rule catches its bug and lets the innocent twin pass."""

from pathlib import Path

import pytest

from script.house_rules.__main__ import OWN_CODE, RULES, check_paths, check_source, main

ROOT = Path(__file__).resolve().parents[2]
ANSWER = "ragplatform/answer/ask.py"
ADAPTER = "ragplatform/adapters/qdrant.py"
API = "ragplatform/api/routes.py"


def broken_rules(source: str, path: str) -> set[str]:
    """Return the names of the rules that the source breaks."""
    return {finding.rule for finding in check_source(source, path)}


@pytest.mark.parametrize(
    "source",
    [
        "from ragplatform.model import Scope\nScope(1)",
        "from ragplatform.model import Scope as S\nS(1)",
        "from ragplatform import model\nmodel.Scope(1)",
        "from ragplatform import model as m\nm.Cleared('x')",
        "import ragplatform.model\nragplatform.model.Receipt('o', 1, b'')",
        "import ragplatform.model as nouns\nnouns.Receipt('o', 1, b'')",
        "from ..model import Scope\nScope(1)",
        "from ragplatform.model import *\nCleared('x')",
        "from ragplatform.policy import Scope\nScope(1)",
        "from ragplatform.model import Scope\nmake = Scope\nmake(1)",
        "from functools import partial\nfrom ragplatform.model import Scope\npartial(Scope, 't')",
        "from ragplatform.model import Cleared\nlist(map(Cleared, ['x']))",
        "from ragplatform.model import Scope\nobject.__new__(Scope)",
        "from ragplatform.model import Scope\nScope.__new__(Scope)",
        "from typing import cast\nfrom ragplatform.model import Cleared\ncast(Cleared, 'x')",
        "from ragplatform.model import Cleared\nclass Mine(Cleared): pass",
        "def f():\n    from ragplatform.model import Receipt as R\n    return R('o', 1, b'')",
    ],
)
def test_a_sealed_type_made_outside_its_home_is_found(source: str) -> None:
    assert "sealed_types" in broken_rules(source, ANSWER)


@pytest.mark.parametrize(
    "source",
    [
        "from ragplatform.model import Scope\ndef f(scope: Scope | None) -> list[Scope]: ...",
        "from ragplatform import model\ndef f(x: model.Cleared) -> None: ...",
        "from ragplatform.model import Receipt\ndef f(x: object):\n return isinstance(x, Receipt)",
        "from ragplatform.model import Scope\nfrom typing import TypeAlias\nA: TypeAlias = Scope",
        "from ragplatform.model import Scope\ndef f(x):\n match x:\n  case Scope(): return 1",
        "from starlette.types import Scope\nScope()",
        "class A:\n    scope: 'Scope'",
    ],
)
def test_a_sealed_type_may_be_spoken_of_anywhere(source: str) -> None:
    assert broken_rules(source, ANSWER) == set()


@pytest.mark.parametrize(
    ("name", "home"),
    [
        ("Scope", "ragplatform/policy/access.py"),
        ("Cleared", "ragplatform/privacy/clear.py"),
        ("Receipt", "ragplatform/audit/log.py"),
    ],
)
def test_a_sealed_type_is_made_at_home_and_at_no_other_ones_home(name: str, home: str) -> None:
    source = f"from ragplatform.model import {name}\n{name}(1)"
    homes = ("ragplatform/policy/a.py", "ragplatform/privacy/a.py", "ragplatform/audit/a.py")
    foreign = [path for path in homes if path.split("/")[1] != home.split("/")[1]]

    assert broken_rules(source, home) == set()
    assert [broken_rules(source, path) for path in foreign] == [{"sealed_types"}] * 2


@pytest.mark.parametrize(
    "source",
    [
        "from dataclasses import replace\nreplace(scope, filter=wider)",
        "import dataclasses as d\nd.replace(request.scope, filter=wider)",
        "import copy\ncopy.replace(cleared, text='x')",
        "from dataclasses import replace\nfrom ragplatform.model import Scope\n"
        "def f(s: Scope | None):\n    return replace(s, reveals=all_types)",
        "type(scope)(1, 2)",
        "scope.__class__(1, 2)",
        "scope.__replace__(filter=wider)",
        "object.__new__(type(scope))",
        "object.__setattr__(scope, 'filter', wider)",
        "from ragplatform import model\ngetattr(model, 'Scope')",
    ],
)
def test_a_sealed_value_rebuilt_by_a_back_door_is_found(source: str) -> None:
    assert "sealed_copies" in broken_rules(source, ANSWER)


@pytest.mark.parametrize(
    "source",
    [
        "from dataclasses import replace\nreplace(chunk, ordinal=1)",
        "'a scope'.replace('a', 'b')",
        "type(error).__name__",
        "class A:\n    def copy(self):\n        return type(self)()",
        "class A:\n    def __post_init__(self):\n        object.__setattr__(self, 'x', 1)",
        "getattr(settings, 'host')",
    ],
)
def test_other_values_may_be_copied(source: str) -> None:
    assert broken_rules(source, ANSWER) == set()


@pytest.mark.parametrize(
    "source",
    [
        "import httpx2\nhttpx2.Client()",
        "import httpx2 as h\nh.AsyncClient()",
        "from httpx import get\nget('x')",
        "import httpx2\nMaker = httpx2.Client\nMaker()",
        "import requests",
        "import urllib.request",
        "from urllib import request",
        "from urllib.request import urlopen",
        "import http.client",
        "from http import client",
        "import aiohttp",
        "import socket\nsocket.create_connection(('h', 1))",
        "from asyncio import open_connection\nopen_connection('h', 1)",
        "from langchain_openai import ChatOpenAI\nChatOpenAI(base_url='x')",
    ],
)
def test_a_network_client_outside_egress_is_found(source: str) -> None:
    assert "network_clients" in broken_rules(source, ADAPTER)
    assert "network_clients" in broken_rules(source, "ingest/job.py")


@pytest.mark.parametrize(
    "source",
    [
        "from urllib.parse import urlsplit\nurlsplit('x')",
        "from http import HTTPStatus\nHTTPStatus.OK",
        "import httpx2\ndef f(client: httpx2.AsyncClient) -> None: ...",
        "import socket\nsocket.socket(socket.AF_UNIX)",
        "from langchain_openai import ChatOpenAI\nChatOpenAI(http_async_client=client)",
    ],
)
def test_speaking_of_the_network_is_not_using_it(source: str) -> None:
    assert broken_rules(source, ADAPTER) == set()


def test_egress_makes_the_clients() -> None:
    source = "import httpx2\nhttpx2.Client()"

    assert broken_rules(source, "ragplatform/egress.py") == set()


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    raise DeniedError('no')\n    yield 1",
        "async def f():\n    if x:\n        raise errors.NotFoundError('no')\n    yield 1",
        "def f():\n    yield from g()\n    raise UnauthenticatedError",
        "from fastapi import HTTPException as E\nasync def f():\n    yield 1\n    raise E(404)",
    ],
)
def test_a_guard_inside_a_generator_is_found(source: str) -> None:
    assert broken_rules(source, API) == {"guards_in_generators"}


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    raise DeniedError('no')",
        "def f():\n    def g():\n        yield 1\n    raise DeniedError('no')",
        "def f():\n    yield 1\n    raise GeneratorError('the model stopped')",
    ],
)
def test_a_guard_before_the_generator_passes(source: str) -> None:
    assert broken_rules(source, API) == set()


def test_print_is_for_command_lines() -> None:
    assert broken_rules("print(1)", ANSWER) == {"printing"}
    assert broken_rules("print(1)", "ragplatform/__main__.py") == set()
    assert broken_rules("console.print(1)", ANSWER) == set()


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import copyreg",
        "eval('1')",
        "exec('1')",
        "import yaml\nyaml.load(file)",
        "from torch import load\nload(path)",
        "import subprocess\nsubprocess.run('ls', shell=True)",
        "import subprocess\nsubprocess.run('ls', shell=flag)",
        "import os\nos.system('ls')",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "AutoModel.from_pretrained(path, trust_remote_code=True)",
    ],
)
def test_running_code_from_data_is_found(source: str) -> None:
    assert broken_rules(source, ADAPTER) == {"code_from_data"}


@pytest.mark.parametrize(
    "source",
    [
        "import re\nre.compile('x')",
        "model.eval()",
        "import yaml\nyaml.safe_load(file)",
        "import subprocess\nsubprocess.run(['ls'], shell=False)",
        "AutoModel.from_pretrained(path, trust_remote_code=False)",
    ],
)
def test_calls_that_only_sound_dangerous_pass(source: str) -> None:
    assert broken_rules(source, ADAPTER) == set()


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    f()\nexcept Exception:\n    pass",
        "try:\n    f()\nexcept:\n    pass",
        "try:\n    f()\nexcept (ValueError, BaseException) as e:\n    g(e)",
        "try:\n    f()\nexcept Exception:\n    if x:\n        raise",
        "for i in x:\n try:\n  f()\n except Exception:\n  if i: continue\n  raise",
        "import contextlib\nwith contextlib.suppress(Exception):\n    f()",
    ],
)
def test_swallowing_everything_is_found_but_at_the_two_edges(source: str) -> None:
    assert broken_rules(source, ANSWER) == {"broad_except"}
    assert broken_rules(source, API) == set()
    assert broken_rules(source, "ingest/refusals.py") == set()


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    f()\nexcept ValueError:\n    pass",
        "try:\n    f()\nexcept Exception as error:\n    raise DetectorError('x') from error",
        "try:\n    f()\nexcept BaseException:\n    close()\n    raise",
        "import contextlib\nwith contextlib.suppress(OSError):\n    f()",
    ],
)
def test_catching_what_one_can_answer_passes(source: str) -> None:
    assert broken_rules(source, ANSWER) == set()


@pytest.mark.parametrize(
    "source",
    [
        "Filter(must_not=[c])",
        "Filter(must_not=[_any_of('subjects', x), c])",
        "Filter(must_not=[match(c) for c in d])",
        "f.must_not = [c]",
        "f = {'must_not': [c]}",
        "models.MatchExcept(x)",
        "from qdrant_client.models import MatchExcept\nMatchExcept(x)",
        "MatchExcept(**{'except': x})",
        "engine.MatchExcept(x) if other else engine.MatchAny(x)",
        "engine.MatchAny(x) if plan.left_out else engine.MatchExcept(x)",
    ],
)
def test_a_negative_filter_is_found_in_an_adapter(source: str) -> None:
    assert broken_rules(source, ADAPTER) == {"negative_filters"}


def test_a_positive_filter_passes_and_a_docstring_may_say_why() -> None:
    source = '"""No must_not here: it fails open."""\nFilter(must=[c], should=[d])'

    assert broken_rules(source, ADAPTER) == set()


def test_what_a_plan_leaves_out_may_be_said_by_a_match_that_fails_closed() -> None:
    source = "match = engine.MatchExcept(x) if numbers.left_out else engine.MatchAny(x)"

    assert broken_rules(source, ADAPTER) == set()


def test_keywords_that_the_adapter_itself_compiles_may_be_excluded() -> None:
    source = "Filter(must=[c], must_not=[_any_of(c.field, c.any_of) for c in branch.none_of])"

    assert broken_rules(source, ADAPTER) == set()


@pytest.mark.parametrize(
    "source",
    [
        "raise ParseError('bad', f'cannot read {text}')",
        "raise ValueError('cannot read ' + question)",
        "raise ValueError('cannot read %s' % (passage,))",
        "raise ValueError('cannot read {}'.format(chunk.text))",
        "raise ValueError(f'cannot read {text[:20]!r}')",
        "log.info('asked', question=question)",
        "self._log.warning('bad: %s', sentence)",
    ],
)
def test_a_message_that_shows_text_is_found(source: str) -> None:
    assert broken_rules(source, ANSWER) == {"text_in_messages"}


@pytest.mark.parametrize(
    "source",
    [
        "raise ParseError('bad', f'cannot read {len(text)} characters')",
        "raise ValueError(f'cannot read {document.id}')",
        "log.info('asked', characters=len(question))",
        "prompt.append(f'Question: {question}')",
    ],
)
def test_a_message_with_ids_and_counts_passes(source: str) -> None:
    assert broken_rules(source, ANSWER) == set()


def test_a_vague_module_name_is_found() -> None:
    assert broken_rules("", "ragplatform/utils.py") == {"vague_names"}
    assert broken_rules("", "ragplatform/adapters/common/x.py") == {"vague_names"}
    assert broken_rules("", ADAPTER) == set()


def test_a_function_of_more_than_sixty_lines_is_found() -> None:
    def source(lines: int) -> str:
        return "def f():\n" + "    x()\n" * (lines - 1)

    assert broken_rules(source(61), ANSWER) == {"long_functions"}
    assert broken_rules(source(60), ANSWER) == set()


def test_a_file_that_cannot_be_parsed_is_a_finding() -> None:
    assert broken_rules("def", ANSWER) == {"syntax"}


def test_each_rule_opens_with_the_bug_it_prevents() -> None:
    assert all((rule.__doc__ or "").startswith("Bug: ") for rule, _ in RULES)


def test_the_command_names_file_and_line_and_exits_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ragplatform").mkdir()
    (tmp_path / "ragplatform" / "a.py").write_text("x = 1\nprint(x)\n")

    code = main(["ragplatform"], root=tmp_path)

    assert code == 1
    assert capsys.readouterr().out.startswith("ragplatform/a.py:2: printing: ")


def test_the_repository_keeps_its_own_rules() -> None:
    assert [str(finding) for finding in check_paths(ROOT, OWN_CODE)] == []
