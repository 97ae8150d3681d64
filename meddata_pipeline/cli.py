"""The command `meddata`: what it promises stands in docs/commands.md.

What belongs here: arguments, progress, printing, exit codes. What does not: doing anything; commands call app/,
orchestration/ or one function of a package, imported inside the command so that `--help` is quick.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from meddata_pipeline.core.errors import BadInput, MeddataError, Refused
from meddata_pipeline.core.settings import Settings

DEMO_SEED = 1

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="From raw hospital extracts to data products. 从医院原始数据到可交易的数据产品。",
)

Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
Home = Annotated[Path | None, typer.Option("--home", help="The home folder (MEDDATA_HOME, default ./.meddata).")]
ConfigDir = Annotated[Path | None, typer.Option("--config", help="A configuration folder above the home's own.")]
Lang = Annotated[str | None, typer.Option("--lang", help="Language of messages: zh or en.")]


# -- printing ----------------------------------------------------------------------------------------------------------


def note(text: str) -> None:
    """A line for people, on standard error."""
    sys.stderr.write(text + "\n")


def answer(body: dict[str, Any], as_json: bool, text: Callable[[dict[str, Any]], str]) -> None:
    """The command's answer: one JSON object, or text for people."""
    out = json.dumps(body, ensure_ascii=False) if as_json else text(body)
    sys.stdout.write(out + "\n")


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on a terminal, plain lines elsewhere; always on standard error."""
    if not sys.stderr.isatty():
        last = ""

        def line(what: str, done: int, planned: int) -> None:
            nonlocal last
            if what != last:
                note(f"[{done}/{planned}] {what}")
            last = what

        yield line
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, planned: bar.update(task, description=what, completed=done, total=planned)


def settings_of(
    home: Path | None, config: Path | None = None, lang: str | None = None, *, demo: bool | None = None
) -> Settings:
    """Settings of a command. A home that was made with demo keys keeps them for commands that do not say."""
    from meddata_pipeline.storage.keys import home_uses_demo_keys

    if lang not in (None, "zh", "en"):
        raise BadInput("The language is zh or en", where="--lang")
    found = Settings.from_env(home, config, lang)
    if demo is None:
        demo = found.demo_seed is not None or home_uses_demo_keys(found)
    seed = (found.demo_seed if found.demo_seed is not None else DEMO_SEED) if demo else None
    return Settings(found.home, found.config_dir, found.lang, seed)


def workplace_of(settings: Settings, landing: Path | None = None) -> Any:
    """The workplace of a command."""
    from meddata_pipeline.app.workplace import Workplace

    named = landing or (Path(os.environ["MEDDATA_LANDING"]) if os.environ.get("MEDDATA_LANDING") else None)
    return Workplace(settings, (named or settings.home / "landing").absolute())


# -- sample, run, demo -------------------------------------------------------------------------------------------------


@app.command()
def sample(
    out: Annotated[Path, typer.Option("--out", help="Becomes a landing folder.")],
    hospitals: Annotated[int, typer.Option(min=1)] = 3,
    patients: Annotated[int, typer.Option(min=1)] = 2000,
    days: Annotated[int, typer.Option(min=1)] = 2,
    start: str = "2024-01-01",
    seed: int = 1,
    scenario: str = "true-effect",
    truth: Annotated[Path | None, typer.Option(help="Ground truth; by default OUT/../truth, never inside OUT.")] = None,
    as_json: Json = False,
) -> None:
    """Write sample extracts of made-up hospitals with their ground truth.

    Example: meddata sample --out landing --patients 200
    """
    from meddata_pipeline.samples.api import generate

    with progress_bar() as show:
        made = generate(
            out,
            hospitals=hospitals,
            patients=patients,
            days=days,
            start=start,
            seed=seed,
            scenario=scenario,
            truth=truth,
            progress=lambda done, total: show("patients", done, total),
        )
    body = {
        "files": made.files,
        "patients": made.patients,
        "rows": made.rows,
        "scenario": made.scenario,
        "hospitals": list(made.hospitals),
        "days": list(made.days),
    }
    answer(body, as_json, lambda b: f"{b['files']} files of {b['patients']} patients, scenario {b['scenario']}")


def _run(
    settings: Settings,
    landing: Path | None,
    products: list[str] | None,
    hospitals: list[str] | None,
    days: list[str] | None,
) -> Any:
    from meddata_pipeline.orchestration.runner import Runner

    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    _quiet_dagster()
    workplace = workplace_of(settings, landing)
    with progress_bar() as show:
        return Runner(workplace, show).run(products=products or (), hospitals=hospitals or (), days=days or ())


def _quiet_dagster() -> None:
    """Dagster logs every event to standard error; `meddata` has a progress bar, and the events are in the UI."""
    import logging
    import warnings

    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="dagster")


def _products_text(body: dict[str, Any]) -> str:
    lines = [
        f"rows: {body['rows_in']:,} in = {body['rows_mapped']:,} mapped + {body['rows_quarantined']:,} quarantined",
    ]
    for product in body["products"]:
        lines.append(f"{product['id']} {product['version'] or '-'}: {product['status']}")
        lines += [f"    {r['code']}: {r['detail']} ({r['where']})" for r in product["reasons"]]
        if product["next_command"]:
            lines.append(f"    next: {product['next_command']}")
    lines += [f"failed: {f['job']} {f['partition']}: {r['code']}: {r['detail']}" for f in body["failed"] for r in f["reasons"]]
    lines += [f"skipped: {s}" for s in body["skipped"]]
    return "\n".join(lines)


@app.command()
def run(
    landing: Annotated[Path | None, typer.Option("--landing", help="Landing folder, read in place, taken as complete.")] = None,
    home: Home = None,
    product: Annotated[list[str] | None, typer.Option("--product", help="Only this product (repeat for more).")] = None,
    hospital: Annotated[list[str] | None, typer.Option("--hospital", help="Only this hospital.")] = None,
    day: Annotated[list[str] | None, typer.Option("--day", help="Only this day, yyyy-mm-dd.")] = None,
    demo_keys: Annotated[bool, typer.Option("--demo-keys", help="Sign with demo keys: NOT FOR REAL DATA.")] = False,
    config: ConfigDir = None,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Run the whole job on a landing folder; again = only what changed.

    Example: meddata run --landing landing --home .meddata --demo-keys
    """
    settings = settings_of(home, config, lang, demo=True if demo_keys else None)
    if demo_keys:
        note("demo keys: NOT FOR REAL DATA")
    summary = _run(settings, landing, product, hospital, day)
    answer(summary.as_dict(), as_json, _products_text)
    if summary.refused:
        raise typer.Exit(1)


@app.command()
def demo(
    home: Home = None,
    patients: Annotated[int, typer.Option(min=50)] = 2000,
    write_env: Annotated[bool, typer.Option("--write-env", help="Write .env for `dagster dev` and `dg dev`.")] = False,
    as_json: Json = False,
) -> None:
    """Sample hospitals, the whole job, releases signed with demo keys, a catalogue to look at.

    Example: meddata demo --home .meddata
    """
    from meddata_pipeline.app import showcase

    settings = settings_of(home, demo=True)
    landing = settings.home / "landing"
    note("demo keys: NOT FOR REAL DATA")
    with progress_bar() as show:
        real = showcase.prepare(settings, landing, patients=patients, progress=lambda d, t: show("sample patients", d, t))
    if not real:
        note("birthweight-smoking left out: no shared/data/real folder here (docs/operations.md says how to bring it)")
    summary = _run(settings, landing, None, None, None)
    if write_env:
        showcase.write_env(settings, landing, Path.cwd() / ".env")
    body = {**summary.as_dict(), "lines": showcase.closing_lines(settings, summary.products)}
    answer(body, as_json, lambda b: _products_text(b) + "\n\n" + "\n".join(b["lines"]))
    if summary.refused:
        raise typer.Exit(1)


# -- the way out -------------------------------------------------------------------------------------------------------


def _refusal(error: MeddataError) -> dict[str, Any]:
    reasons = [r.as_dict() for r in error.reasons] if isinstance(error, Refused) else []
    return {"error": str(error), "reasons": reasons}


def main(arguments: list[str] | None = None) -> None:
    """Run a command; exit with 0 done, 1 refused, 2 bad usage or bad input."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        app(words, prog_name="meddata")
    except MeddataError as error:
        note(f"meddata: {error}")
        if isinstance(error, Refused):
            for reason in error.reasons:
                note(f"  {reason.code}: {reason.detail} ({reason.where})")
        if "--json" in words:
            sys.stdout.write(json.dumps(_refusal(error), ensure_ascii=False) + "\n")
        sys.exit(1 if isinstance(error, Refused) else 2)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:  # noqa: BLE001 - a library's text may quote the data it choked on
        frames = [f for f in traceback.extract_tb(error.__traceback__) if "meddata_pipeline" in f.filename]
        where = f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else "outside the package"
        if os.environ.get("MEDDATA_DEBUG"):
            traceback.print_exc()
        note(f"meddata: internal error: {type(error).__name__} in {where}; its text is withheld, it may hold data")
        if "--json" in words:
            reason = {"code": "internal-error", "detail": type(error).__name__, "where": where}
            sys.stdout.write(json.dumps({"error": "internal error", "reasons": [reason]}) + "\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
