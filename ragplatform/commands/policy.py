"""Commands on the policies."""

from pathlib import Path
from typing import Annotated

import typer

from ragplatform import openers
from ragplatform.commands import console
from ragplatform.model import Consent, Json, Labels, Principal, Purpose, Sensitivity
from ragplatform.policy import changes, diff
from ragplatform.policy.engine import Policies
from ragplatform.policy.questions import Circumstances

app = typer.Typer(help="Check policies and explain their verdicts.", no_args_is_help=True)


@app.command("check")
def check(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Validate the policies against their schema and run every case. Exit code 1: a case fails."""
    with console.exits():
        policies = openers.open_policies(console.settings())
        report = policies.check()
    failures = [f"{r.case.pack}: {r.case.says}" for r in report.failures]
    if as_json:
        console.print_json(
            {
                "digest": policies.digest,
                "policies": len(policies.rules),
                "cases": len(report.results),
                "failures": list(failures),
                "unexercised": list(report.unexercised),
            }
        )
    else:
        console.out.print(
            f"{console.mark(report.passed)} {len(policies.rules)} policies, "
            f"{len(report.results)} cases, {len(failures)} failed"
        )
        for line in failures:
            console.out.print(f"  failed: {line}", markup=False)
        for name in report.unexercised:
            console.out.print(f"  no case exercises {name}", markup=False)
    if failures:
        raise typer.Exit(console.EXIT_BAD)


@app.command("diff")
def diff_(
    old: Annotated[Path, typer.Argument(help="Folder of the policies in force.")],
    new: Annotated[Path, typer.Argument(help="Folder of the policies that shall be.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show which cases and which (role, purpose, class) cells gain or lose access.

    Both folders need their schema. Exit code 0: nothing changes; 1: something does.
    """
    with console.exits():
        found = diff.diff(Policies.load(old), Policies.load(new))
    parts = {"cases": found.cases, "cells": found.cells, "reveals": found.reveals}
    if as_json:
        listed: dict[str, Json] = {
            name: [_change(one) for one in part] for name, part in parts.items()
        }
        console.print_json({"compared": found.compared, **listed})
    else:
        for name, part in parts.items():
            gains = sum(one.after for one in part)
            console.out.print(f"{name}: {gains} gain access, {len(part) - gains} lose it")
            for one in sorted(part, key=lambda one: (not one.after, one.what)):
                sign, by = ("+" if one.after else "-"), ", ".join(one.by) or "nothing permits"
                console.out.print(f"  {sign} {one.what}  ({by})", markup=False)
        console.out.print(f"{found.compared:,} cells compared")
    if not found.empty:
        raise typer.Exit(console.EXIT_BAD)


def _change(one: diff.Change) -> dict[str, Json]:
    return {"what": one.what, "before": one.before, "after": one.after, "by": list(one.by)}


@app.command("explain")
def explain(
    purpose: Annotated[Purpose, typer.Argument(help="The purpose of use.")],
    roles: Annotated[str, typer.Option(help="Roles of the person, comma-separated.")],
    collection: Annotated[str, typer.Option(help="Collection of the document.")],
    tenant: Annotated[str, typer.Option(help="Tenant of both.")] = "demo",
    departments: Annotated[str, typer.Option(help="Of the person, comma-separated.")] = "",
    clearance: Annotated[str, typer.Option(help="Of the person.")] = "confidential",
    department: Annotated[str, typer.Option(help="Of the document.")] = "",
    sensitivity: Annotated[str, typer.Option(help="Of the document.")] = "confidential",
    restrictions: Annotated[str, typer.Option(help="Of the document, comma-separated.")] = "",
    related: Annotated[bool, typer.Option(help="Whether they care for the subject.")] = False,
    broke_glass: Annotated[bool, typer.Option(help="Whether they broke the glass.")] = False,
    consent: Annotated[str, typer.Option(help="Of the subject: refused, silent, given.")] = (
        Consent.SILENT.value
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say whether such a person may read such a document, which policies decide it, and why.

    Where it is denied, the smallest changes that would permit it are named.
    """
    with console.exits():
        console.require(consent in set(Consent), f"--consent is one of {', '.join(Consent)}")
        who = Principal(
            id="somebody",
            tenant=tenant,
            roles=_split(roles),
            departments=_split(departments),
            clearance=_level(clearance, "--clearance"),
        )
        labels = Labels(
            tenant=tenant,
            collection=collection,
            sensitivity=_level(sensitivity, "--sensitivity"),
            department=department,
            restrictions=_split(restrictions),
        )
        policies = openers.open_policies(console.settings())
        about = Circumstances(related, broke_glass, Consent(consent))
        found = policies.explain(who, purpose, labels, about)
        known = {role for case in policies.cases for role in case.who.roles}
        ways = changes.smallest(policies, who, purpose, labels, about, roles=known)
    if as_json:
        console.print_json(
            {
                "allowed": found.allowed,
                "reason": found.reason,
                "policies": [rule.id for rule in found.rules],
                "failed": {name: list(texts) for name, texts in found.missing.items()},
                "changes": [[{"kind": one.kind, "to": one.to} for one in way] for way in ways],
                "policy_digest": found.policy_digest,
            }
        )
        return
    console.out.print(str(found), markup=False)
    for way in ways:
        console.out.print(f"  permitted {' and '.join(map(str, way))}", markup=False)


def _level(name: str, option: str) -> Sensitivity:
    known = [level.name.lower() for level in Sensitivity]
    console.require(name in known, f"{option} is one of {', '.join(known)}")
    return Sensitivity[name.upper()]


def _split(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())
