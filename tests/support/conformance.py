"""Schemathesis against a running system: requests generated from a surface's own document, every answer judged by it.

Runs as a program of its own, as a client would. What a request means nobody can generate (a role's name, a chat that exists):
dictionaries hand out some of that, so that not all calls end at the first check.
"""

import asyncio
import copy
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

SECONDS_MAX: Final = 7_200
# Whether a valid request means something is the platform's to judge, and a 400 of its is an answer like any other.
_NOT_CHECKED: Final = "positive_data_acceptance"
_USUAL: Final = 0.85  # of a known value instead of a generated one

Values = Mapping[str, Sequence[str]]  # parameter (`path.fan_id`) -> what is worth trying


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a run went. `said` is what Schemathesis printed: of every failure the request as a curl command."""

    is_clean: bool
    said: str
    cases: int
    statuses: Mapping[int, int]  # how often each
    operations: frozenset[str]  # `GET /api/keys`
    carried_out: frozenset[str]  # those that were answered with a 2xx at least once


async def conforms(
    document: dict[str, Any],
    url: str,
    *,
    headers: Mapping[str, str],
    values: Values,
    always: Mapping[str, Values],
    examples: int,
    seed: int,
    folder: Path,
) -> Verdict:
    """Ask `url` everything the document names: the borders of every parameter, and up to `examples` random requests per
    operation. `values` are tried often, by any operation; `always` those and no others, by the operation of that id: it must
    not hit what the rest of the run lives on.
    """
    config, spec, report = folder / "schemathesis.toml", folder / "document.json", folder / "events.ndjson"
    config.write_text(_config(values, always), encoding="utf-8")
    spec.write_text(json.dumps(_with_examples(document, values, always)), encoding="utf-8")
    command = [
        str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(config), "run", str(spec), "--url", url,
        "--phases", "examples,coverage,fuzzing", "--max-examples", str(examples), "--seed", str(seed), "--checks", "all",
        "--exclude-checks", _NOT_CHECKED, "--mode", "all", "--generation-database", "none", "--suppress-health-check", "all",
        "--warnings", "off", "--request-timeout", "60", "--no-color", "--report-ndjson-path", str(report),
        *(f"--header={name}:{value}" for name, value in headers.items()),
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(SECONDS_MAX):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _verdict(report, is_clean=process.returncode == 0, said=said.decode())


def _with_examples(document: dict[str, Any], values: Values, always: Mapping[str, Values]) -> dict[str, Any]:
    """The document, and in it what exists here: the border of one parameter is tried with the others as in its example."""
    whole = copy.deepcopy(document)
    del whole["components"]["parameters"]["IdempotencyKey"]["example"]  # one key for all would be refused as used (422)
    for methods in whole["paths"].values():
        for operation in methods.values():
            known = {**values, **always.get(operation["operationId"], {})}
            for parameter in operation["parameters"]:
                found = known.get(f"{parameter.get('in')}.{parameter.get('name')}")
                if found:
                    parameter["example"] = found[0]
    return whole


def _config(values: Values, always: Mapping[str, Values]) -> str:
    """Schemathesis takes dictionaries of values by their names, from its own file only."""
    dictionaries: list[str] = []
    usual = [_bound(dictionaries, name, known, _USUAL) for name, known in values.items()]
    operations: list[str] = []
    for operation, own in always.items():
        bound = [_bound(dictionaries, name, known, 1.0) for name, known in own.items()]
        operations += ["[[operations]]", f'include-operation-id = "{operation}"', "[operations.parameters]", *bound]
    # A key's header is never invented: what strange keys do is a check of its own (`ignored_auth`). Ids seen in answers are
    # not used: one of them is the key that asks.
    generation = ["[generation]", "with-security-parameters = false"]
    for phase in ("examples", "coverage", "fuzzing"):
        generation += [f"[phases.{phase}.extra-data-sources]", "responses = false"]
    return "\n".join([*generation, "[parameters]", *usual, *dictionaries, *operations]) + "\n"


def _bound(dictionaries: list[str], name: str, known: Sequence[str], probability: float) -> str:
    word = f"d{len(dictionaries) // 2}"
    dictionaries += [f"[dictionaries.{word}]", f"values = {json.dumps(list(known))}"]
    return f'"{name}" = {{ dictionary = "{word}", probability = {probability} }}'


def _verdict(report: Path, *, is_clean: bool, said: str) -> Verdict:
    statuses: Counter[int] = Counter()
    operations, carried_out = set(), set()
    for line in report.read_text(encoding="utf-8").splitlines():
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder")
        if recorder is None:
            continue
        operations.add(recorder["label"])
        for interaction in recorder.get("interactions", {}).values():
            status = int((interaction["response"] or {"status_code": 0})["status_code"])
            statuses[status] += 1
            if 200 <= status < 300:
                carried_out.add(recorder["label"])
    return Verdict(
        is_clean,
        said,
        sum(statuses.values()),
        dict(sorted(statuses.items())),
        frozenset(operations),
        frozenset(carried_out),
    )
