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
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Annotated, Any, Literal

import typer

from meddata_pipeline.core.errors import BadInput, MeddataError, Refused
from meddata_pipeline.core.settings import Settings

DEMO_SEED = 1
_USAGE = 2
_INTERRUPTED = 130
_JSON_LINES = ("detect", "redact")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="From raw hospital extracts to data products. 从医院原始数据到可交易的数据产品。",
)

quarantine_app = typer.Typer(no_args_is_help=True, help="Rows that ingest or a quality rule put aside. 隔离的行。")
review_app = typer.Typer(no_args_is_help=True, help="Spans that people look at. 需人工复核的片段。")
release_app = typer.Typer(no_args_is_help=True, help="Decisions on candidates, by role. 按角色审批候选版本。")
keys_app = typer.Typer(no_args_is_help=True, help="Keys. 密钥。")
profile_app = typer.Typer(no_args_is_help=True, help="Hospitals' profiles. 医院配置。")
product_app = typer.Typer(no_args_is_help=True, help="Products' files. 产品配置。")
contract_app = typer.Typer(no_args_is_help=True, help="Data contracts. 数据合同。")
catalog_app = typer.Typer(no_args_is_help=True, help="The catalogue. 目录。")
order_app = typer.Typer(no_args_is_help=True, help="Orders. 订单。")
for _name, _group in {
    "quarantine": quarantine_app,
    "review": review_app,
    "release": release_app,
    "keys": keys_app,
    "profile": profile_app,
    "product": product_app,
    "contract": contract_app,
    "catalog": catalog_app,
    "order": order_app,
}.items():
    app.add_typer(_group, name=_name)

Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
Home = Annotated[Path | None, typer.Option("--home", help="The home folder (MEDDATA_HOME, default ./.meddata).")]
ConfigDir = Annotated[Path | None, typer.Option("--config", help="A configuration folder above the home's own.")]
Landing = Annotated[
    Path | None, typer.Option("--landing", help="Landing folder (MEDDATA_LANDING, default HOME/landing).")
]
Lang = Annotated[str | None, typer.Option("--lang", help="Language of messages: zh or en.")]
Role = Annotated[str, typer.Option("--role", help="As what you sign, e.g. privacy-officer.")]
Words = Annotated[str, typer.Option("--reason", help="Why, in your words.")]


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

    from meddata_pipeline.app import progress

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None)
        step = bar.add_task("", total=None, visible=False)

        def inside(what: str, done: int, total: int) -> None:
            bar.update(step, description=f"  {what}", completed=done, total=total, visible=done < total)

        with progress.listening(inside):
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
    lines += [
        f"file put aside whole: {f['hospital']} {f['day']} {f['table'] or '-'} {f['file']} {f['reason']}"
        for f in body["files_refused"]
    ]
    for product in body["products"]:
        lines.append(f"{product['id']} {product['version'] or '-'}: {product['status']}")
        lines += [f"    {r['code']}: {r['detail']} ({r['where']})" for r in product["reasons"]]
        if product["next_command"]:
            lines.append(f"    next: {product['next_command']}")
    lines += [
        f"failed: {f['job']} {f['partition']}: {r['code']}: {r['detail']}" for f in body["failed"] for r in f["reasons"]
    ]
    lines += [f"skipped: {s}" for s in body["skipped"]]
    return "\n".join(lines)


@app.command()
def run(
    landing: Annotated[
        Path | None, typer.Option("--landing", help="Landing folder, read in place, taken as complete.")
    ] = None,
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
        real = showcase.prepare(
            settings, landing, patients=patients, progress=lambda d, t: show("sample patients", d, t)
        )
    if not real:
        note("birthweight-smoking left out: no shared/data/real folder here (docs/operations.md says how to bring it)")
    summary = _run(settings, landing, None, None, None)
    if write_env:
        showcase.write_env(settings, landing, Path.cwd() / ".env")
    body = {**summary.as_dict(), "lines": showcase.closing_lines(settings, summary.products)}
    answer(body, as_json, lambda b: _products_text(b) + "\n\n" + "\n".join(b["lines"]))
    if summary.refused:
        raise typer.Exit(1)


# -- where everything stands -------------------------------------------------------------------------------------------


def _look(home: Path | None, config: Path | None, lang: str | None, landing: Path | None = None) -> Any:
    """The workplace of a command that looks at a home; nothing is created by opening it."""
    return workplace_of(settings_of(home, config, lang), landing)


def _say(lang: str, zh: str, en: str) -> str:
    return zh if lang == "zh" else en


def _reason_lines(reasons: list[dict[str, str]], indent: str = "    ") -> list[str]:
    return [f"{indent}{r['code']}: {r['detail']} ({r['where']})" for r in reasons]


def _status_text(body: dict[str, Any], lang: str) -> str:
    lines = []
    for h in body["hospitals"]:
        days, ingested, rows, aside = h["arrived"], h["ingested"], f"{h['rows']:,}", f"{h['quarantine']:,}"
        zh = f"到达 {days} 天，已入库 {ingested} 天，{rows} 行，隔离 {aside} 行"
        en = f"{days} days arrived, {ingested} ingested, {rows} rows, {aside} quarantined"
        lines.append(f"{h['id']}: {_say(lang, zh, en)}")
        for name, word in (("partial", "不完整"), ("waiting", "待入库"), ("late", "未到")):
            if h[name]:
                lines.append(f"    {_say(lang, word, name)}: {', '.join(h[name])}")
        if not h["profile"]:
            lines.append("    " + _say(lang, "没有配置文件", "no profile: its deliveries are skipped"))
    for p in body["products"]:
        lines.append(f"{p['id']} {p['version'] or '-'}: {p['state']}")
        lines += _reason_lines(p["reasons"])
        if p["next_command"]:
            lines.append(f"    {_say(lang, '下一步', 'next')}: {p['next_command']}")
    return "\n".join(lines)


@app.command()
def status(
    home: Home = None, landing: Landing = None, config: ConfigDir = None, lang: Lang = None, as_json: Json = False
) -> None:
    """Hospitals: arrived, late, partial, rows, quarantine. Products: state, reasons, next command.

    Example: meddata status --home .meddata
    """
    from meddata_pipeline.app.status import overview

    workplace = _look(home, config, lang, landing)
    answer(overview(workplace), as_json, lambda b: _status_text(b, workplace.settings.lang))


@app.command()
def doctor(
    home: Home = None, landing: Landing = None, config: ConfigDir = None, lang: Lang = None, as_json: Json = False
) -> None:
    """Check the installation: Python, packages, home, keys, landing folder, disk, Dagster, configuration.

    Example: meddata doctor --home .meddata
    """
    from meddata_pipeline.app.status import doctor as check

    workplace = _look(home, config, lang, landing)
    checks = check(workplace)
    failed = [{"code": c["id"], "detail": c["detail"], "where": "doctor"} for c in checks if c["status"] == "failed"]
    words = {"passed": "正常", "warning": "注意", "failed": "失败"} if workplace.settings.lang == "zh" else {}
    lines = [f"{words.get(c['status'], c['status']):8} {c['id']}: {c['detail']}" for c in checks]
    answer({"checks": checks, "reasons": failed}, as_json, lambda _: "\n".join(lines))
    if failed:
        raise typer.Exit(1)


@app.command()
def explain(
    name: Annotated[str, typer.Argument(metavar="COLUMN|ROW", help="Or HOSPITAL/COLUMN, PRODUCT/COLUMN; see below.")],
    home: Home = None,
    config: ConfigDir = None,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Why a column or a source row was withheld.

    Example: meddata explain inflammation-pulpitis-cohort/person_id

    Example: meddata explain hospital-a/2024-01-01/#1f2e3d4c:17 (record 17 of that file, counted from 0)
    """
    from meddata_pipeline.app.explain import explain as find

    answer(find(_look(home, config, lang), name), as_json, lambda b: "\n".join(_reason_lines(b["reasons"], "")))


# -- quarantine --------------------------------------------------------------------------------------------------------


@quarantine_app.command("list")
def quarantine_list(
    hospital: Annotated[str | None, typer.Option("--hospital", help="Only this hospital.")] = None,
    day: Annotated[str | None, typer.Option("--day", help="Only this day, yyyy-mm-dd.")] = None,
    home: Home = None,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Count quarantined rows by hospital, day, table, file and reason; those of quality rules by check.

    Example: meddata quarantine list --hospital hospital-a
    """
    from meddata_pipeline.app.review_quarantine import counts

    settings = settings_of(home, None, lang)
    items = counts(settings, hospital, day)
    body = {"items": items, "rows": sum(i["rows"] for i in items)}
    lines = [
        f"{i['hospital']} {i['day']} {i['table'] or '-'} {i['file'] or '-'} {i['reason']}: "
        + str(i["rows"] or "the whole file")
        + (_say(settings.lang, f"，已放行 {let}", f", {let} released") if (let := i.get("released", 0)) else "")
        for i in items
    ]
    total = _say(settings.lang, f"共 {body['rows']} 行", f"{body['rows']} rows in all")
    answer(body, as_json, lambda _: "\n".join([*lines, total]))


@quarantine_app.command("show")
def quarantine_show(
    hospital: str,
    day: str,
    reason: Annotated[str | None, typer.Option("--reason", help="Only rows with this reason.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write rows with values here; below <home>/restricted only.")
    ] = None,
    home: Home = None,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Show quarantined rows. Their values go to a terminal or below <home>/restricted, never into a pipe or a log.

    Example: meddata quarantine show hospital-a 2024-01-01 --reason impossible_date
    """
    from meddata_pipeline.app import review_quarantine as review
    from meddata_pipeline.storage.files import write_atomic

    workplace = _look(home, None, lang)
    target = review.restricted_file(workplace.settings, out) if out is not None else None
    items = review.rows(workplace, hospital, day, reason)
    if target is not None:
        write_atomic(target, "".join(json.dumps(i, ensure_ascii=False) + "\n" for i in items).encode())
        note(_say(workplace.settings.lang, f"已写入 {len(items)} 行", f"{len(items)} rows written"))
    visible = sys.stdout.isatty() and target is None and not as_json
    if not visible:
        items = review.without_values(items)
        if target is None:
            note("values are shown on a terminal, or written with --out below <home>/restricted")

    def text(body: dict[str, Any]) -> str:
        return "\n".join(
            f"{i['table'] or '-'} {i['file']}:{'-' if i['row'] is None else i['row']} {i['reason']} {i['column']}"
            + (_say(workplace.settings.lang, "已放行", "released") if i.get("released") else "")
            + (f"\n    {review.printable(i['raw'])}" if visible else "")
            for i in body["items"]
        )

    answer({"items": items}, as_json, text)


@quarantine_app.command("release")
def quarantine_release(
    hospital: str,
    day: str,
    worker: Annotated[str, typer.Option("--worker", help="Who says so.")],
    reason: Words,
    check: Annotated[str | None, typer.Option("--check", help="Only what this check put aside.")] = None,
    row: Annotated[int | None, typer.Option("--row", help="Only this row of its table, as `show` numbers it.")] = None,
    home: Home = None,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """State that rows which a quality rule put aside are right after all; the next run lets them into cohorts.

    Example: meddata quarantine release hospital-a 2024-01-01 --row 7 --worker zhang --reason "checked in the record"
    """
    from meddata_pipeline.app.quality_quarantine import release

    workplace = _look(home, None, lang)
    made = release(workplace, hospital, day, worker=worker, reason=reason, check=check, row=row)

    def text(body: dict[str, Any]) -> str:
        lines = [f"{i['table']}:{i['row']} {i['reason']}{'' if i['new'] else ' (already)'}" for i in body["items"]]
        return "\n".join([*lines, f"    next: {body['next_command']}"])

    answer(made, as_json, text)


# -- review of uncertain spans -----------------------------------------------------------------------------------------


def _item_line(i: dict[str, Any]) -> str:
    by = f" {i['by']}" if i["by"] else ""
    return f"{i['id']} {i['state']}{by} {i['entity']} {i['score']:.2f} {i['source']} {i['reason']} " + (
        f"{i['hospital']} {i['day']} {i['kind']}.{i['column']}"
    )


@review_app.command("list")
def review_list(
    hospital: Annotated[str | None, typer.Option("--hospital", help="Only this hospital.")] = None,
    day: Annotated[str | None, typer.Option("--day", help="Only this day, yyyy-mm-dd.")] = None,
    state: Annotated[str, typer.Option("--state", help="open, accepted, masked or all.")] = "open",
    home: Home = None,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """List withheld spans: counts, ids, entities, scores, sources; never a text.

    Example: meddata review list --hospital hospital-a
    """
    from meddata_pipeline.app.review import items, overview

    workplace = _look(home, None, lang)

    def text(b: dict[str, Any]) -> str:
        counts = ", ".join(f"{entity} {n}" for entity, n in b["by_entity"].items())
        total = _say(workplace.settings.lang, f"待复核 {b['open']} 条", f"{b['open']} open")
        return "\n".join([*map(_item_line, b["items"]), f"{total}{': ' + counts if counts else ''}"])

    answer(overview(items(workplace, hospital, day), None if state == "all" else state), as_json, text)


def _show_item(workplace: Any, item: Any, out: Path | None, as_json: bool) -> None:
    """An item; its text goes to a terminal or below <home>/restricted, never into a pipe or a log."""
    from meddata_pipeline.app import review_quarantine as restricted
    from meddata_pipeline.storage.files import write_atomic

    target = restricted.restricted_file(workplace.settings, out) if out is not None else None
    if item is None:
        lang = workplace.settings.lang
        answer({"item": None}, as_json, lambda _: _say(lang, "没有待复核的片段", "nothing is open"))
        return
    body = item.public()
    context = {"before": item.before, "surface": item.surface, "after": item.after}
    if target is not None:
        write_atomic(target, (json.dumps({**body, **context}, ensure_ascii=False) + "\n").encode())
    visible = sys.stdout.isatty() and target is None and not as_json
    if not visible and target is None:
        note("the text is shown on a terminal, or written with --out below <home>/restricted")

    def text(b: dict[str, Any]) -> str:
        shown = restricted.printable(f"{item.before}【{item.surface}】{item.after}")
        return _item_line(b["item"]) + (f"\n    {shown}" if visible else "")

    answer({"item": body}, as_json, text)


ItemId = Annotated[str, typer.Argument(metavar="ID", help="As in `meddata review list`, or how it begins.")]
ItemOut = Annotated[Path | None, typer.Option("--out", help="Write it with its text here; below <home>/restricted.")]
Worker = Annotated[str, typer.Option("--worker", help="Who decides.")]


@review_app.command("show")
def review_show(name: ItemId, out: ItemOut = None, home: Home = None, lang: Lang = None, as_json: Json = False) -> None:
    """Show a withheld span with 20 characters on either side, on a terminal or below <home>/restricted only.

    Example: meddata review show 0123456789abcdef
    """
    from meddata_pipeline.app.review import item

    workplace = _look(home, None, lang)
    _show_item(workplace, item(workplace, name), out, as_json)


@review_app.command("next")
def review_next(
    hospital: Annotated[str | None, typer.Option("--hospital", help="Only this hospital.")] = None,
    out: ItemOut = None,
    home: Home = None,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Show the open item that matters most: what identifies most directly, then what is most likely.

    Example: meddata review next
    """
    from meddata_pipeline.app.review import next_item

    workplace = _look(home, None, lang)
    _show_item(workplace, next_item(workplace, hospital), out, as_json)


def _decide_item(
    place: tuple[Home, ConfigDir, Lang], name: str, decision: Literal["accepted", "masked"], as_json: bool, **who: str
) -> None:
    """What ``accept`` and ``mask`` do; they differ in the decision alone."""
    from meddata_pipeline.app.review import decide

    made = decide(_look(*place), name, decision, **who)
    item = {k: v for k, v in made.items() if k != "next_command"}
    body = {"item": item, "next_command": made["next_command"]}
    answer(body, as_json, lambda b: f"{_item_line(b['item'])}\n    next: {b['next_command']}")


@review_app.command("accept")
def review_accept(
    name: ItemId,
    role: Role,
    reason: Words,
    worker: Worker = "",
    home: Home = None,
    config: ConfigDir = None,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Decide that a span identifies nobody: from the next run on its text appears, in this document only.

    Example: meddata review accept 0123456789abcdef --role privacy-officer --reason "a drug"
    """
    _decide_item((home, config, lang), name, "accepted", as_json, role=role, reason=reason, worker=worker)


@review_app.command("mask")
def review_mask(
    name: ItemId,
    role: Role,
    reason: Words,
    worker: Worker = "",
    home: Home = None,
    config: ConfigDir = None,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Decide that a span stays masked.

    Example: meddata review mask 0123456789abcdef --role privacy-officer --reason "a name"
    """
    _decide_item((home, config, lang), name, "masked", as_json, role=role, reason=reason, worker=worker)


# -- leak sample: `meddata review sample` ------------------------------------------------------------------------------


@review_app.command("sample")
def review_sample(
    n: Annotated[int, typer.Option("--n", min=1, help="How many notes.")] = 300,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Decides which notes; same seed, same notes.")] = 1,
    product: Annotated[str | None, typer.Option("--product", help="Notes of this product's hospitals.")] = None,
    style: Annotated[str, typer.Option("--style", help="surrogate or tag, as the release would be.")] = "surrogate",
    answers: Annotated[
        list[Path] | None, typer.Option("--import", help="A reader's answers.json (repeat for the second reader).")
    ] = None,
    home: Home = None,
    config: ConfigDir = None,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Draw released notes for two readers, or take their answers; the bound on leaks gates products with text.

    Example: meddata review sample --n 300 --seed 1
    """
    from meddata_pipeline.app import leak_sample
    from meddata_pipeline.app.status import require_home

    if style not in leak_sample.STYLES:
        raise BadInput("The style is surrogate or tag", where="--style")
    workplace = _look(home, config, lang)
    require_home(workplace.settings)
    if answers:
        answer(leak_sample.take(workplace, answers), as_json, _bound_text)
        return
    made = leak_sample.draw(workplace, n, seed, product, style)
    where = f"{made['notes']} of {made['population']} notes: {workplace.home / made['page']}"
    answer(made, as_json, lambda _: f"{where}\ntwo people read, then: meddata review sample --import ANSWERS.json")


def _bound_text(body: dict[str, Any]) -> str:
    found = body["evidence"]
    if found is None:
        return f"{body['readers']} reader of 2; import the other one's answers too"
    agreement = "agreement not computable" if found["kappa"] is None else f"kappa {found['kappa']:.2f}"
    lines = [
        f"{found['leaking']} of {found['notes']} notes leak: at most {found['upper_bound']:.2%} of all (95 %)",
        f"{agreement}, {found['disagreements']} notes judged differently: {body['disagreements']}",
    ]
    return "\n".join([*lines, *_reason_lines(body["reasons"])])


# -- decisions ---------------------------------------------------------------------------------------------------------


def _standing_text(item: dict[str, Any]) -> str:
    lines = [f"{item['product']} {item['version']} #{item['candidate'][:8]}: {item['state']}"]
    lines += [f"    {role}: approved" for role in item["approved"]]
    lines += [f"    {role}: rejected: {why}" for role, why in item["rejected"].items()]
    lines += [f"    {role}: missing" for role in item["missing"]]
    if item["next_command"]:
        lines.append(f"    next: {item['next_command']}")
    return "\n".join(lines)


@release_app.command("list")
def release_list(home: Home = None, config: ConfigDir = None, lang: Lang = None, as_json: Json = False) -> None:
    """List candidates and where their signatures stand.

    Example: meddata release list
    """
    from meddata_pipeline.app.decisions import pending

    items = pending(_look(home, config, lang))
    answer({"items": items}, as_json, lambda b: "\n".join(_standing_text(i) for i in b["items"]) or "no candidate")


@release_app.command("show")
def release_show(
    product: str, home: Home = None, config: ConfigDir = None, lang: Lang = None, as_json: Json = False
) -> None:
    """Show the evidence of a product's candidate: what is to be signed, and the folder of its files.

    Example: meddata release show inflammation-pulpitis
    """
    from meddata_pipeline.app.decisions import evidence
    from meddata_pipeline.exchange.pricing import yuan

    def text(b: dict[str, Any]) -> str:
        lines = [
            _standing_text(b),
            f"digest: {b['candidate']}",
            f"as of: {b['as_of']}",
            f"form: {b['form']}, {b['access']}",
        ]
        lines += [f"hospitals: {', '.join(b['hospitals'])}", f"persons: {b['persons']}"]
        lines += [f"highest risk: {b['highest_risk']['before']:.4f} before, {b['highest_risk']['after']:.4f} after"]
        lines += [f"price: {yuan(b['price_fen'])} yuan", f"rights complete: {b['rights_complete']}"]
        lines += ["failed checks:", *_reason_lines(b["failed"])] if b["failed"] else []
        return "\n".join([*lines, f"files: {b['folder']}"])

    answer(evidence(_look(home, config, lang), product), as_json, text)


RoleKey = Annotated[Path, typer.Option("--key", help="Your Ed25519 key (PEM); `meddata keys new FILE` makes one.")]
Seen = Annotated[str | None, typer.Option("--digest", help="Digest of the candidate you looked at, or how it begins.")]


def _decide(
    decision: Literal["approve", "reject"],
    workplace: Any,
    product: str,
    role: str,
    key: Path,
    reason: str,
    seen: str | None,
) -> dict[str, Any]:
    from meddata_pipeline.app.decisions import decide

    return decide(workplace, product, role=role, key=key, decision=decision, reason=reason, digest=seen)


@release_app.command("approve")
def release_approve(
    product: str,
    role: Role,
    key: RoleKey,
    reason: Words,
    seen: Seen = None,
    home: Home = None,
    config: ConfigDir = None,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Approve a product's candidate as a role; after the last one, `meddata run` publishes it.

    Example: meddata release approve inflammation-pulpitis --role data-owner --key owner.pem --reason "complete"
    """
    answer(_decide("approve", _look(home, config, lang), product, role, key, reason, seen), as_json, _standing_text)


@release_app.command("reject")
def release_reject(
    product: str,
    role: Role,
    key: RoleKey,
    reason: Words,
    seen: Seen = None,
    home: Home = None,
    config: ConfigDir = None,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Reject a product's candidate as a role; it is not published until somebody changes their mind or it changes.

    Example: meddata release reject inflammation-pulpitis --role privacy-officer --key officer.pem --reason "too fine"
    """
    answer(_decide("reject", _look(home, config, lang), product, role, key, reason, seen), as_json, _standing_text)


@release_app.command("attest")
def release_attest(
    product: str,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="The evaluator's attestation.json.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take away those that wait for a version.")] = False,
    home: Home = None,
    config: ConfigDir = None,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Place a third party's attestation beside a candidate or a published version; one that does not fit is refused.

    Example: meddata release attest inflammation-pulpitis-cohort attestation.json
    """
    from meddata_pipeline.app import evaluation

    if (file is None) != remove:
        raise BadInput("Give the attestation, or --remove")
    workplace = _look(home, config, lang)
    if file is None:
        gone = evaluation.withdraw(workplace, product)
        answer(gone, as_json, lambda b: "\n".join(f"removed {path}" for path in b["removed"]) or "nothing was placed")
        return

    def text(b: dict[str, Any]) -> str:
        return f"{b['product']} {b['version']}: {b['file']}\n    next: {b['next_command']}"

    answer(evaluation.place(workplace, product, file), as_json, text)


@keys_app.command("new")
def keys_new(
    file: Path,
    root: Annotated[
        bool, typer.Option("--root", help="A root key for MEDDATA_KEY_FILE, to lie outside the home.")
    ] = False,
    buyer: Annotated[bool, typer.Option("--buyer", help="An age identity, to receive bundles with.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Make a key: Ed25519 to sign as a role; with --root the root key of a home; with --buyer an age identity.

    Example: meddata keys new officer.pem
    """
    from meddata_pipeline.app.tools import new_key

    if root and buyer:
        raise BadInput("Choose one of --root and --buyer")
    kind: Literal["role", "root", "buyer"] = "root" if root else "buyer" if buyer else "role"
    hints = {
        "role": "register the public key in <home>/config/roles.yaml: {public}",
        "root": "name it in MEDDATA_KEY_FILE, and keep a copy: without it the home cannot be read",
        "buyer": "the recipient to give to the seller: {public}",
    }
    made = new_key(file, kind, settings_of(home).home)
    answer(made, as_json, lambda b: hints[kind].format(**b))


# -- configuration -----------------------------------------------------------------------------------------------------


@profile_app.command("check")
def profile_check(
    hospital: Annotated[str | None, typer.Argument(help="By default every hospital.")] = None,
    home: Home = None,
    config: ConfigDir = None,
    as_json: Json = False,
) -> None:
    """Check hospitals' profiles, and list the columns that their deliveries have left open.

    Example: meddata profile check hospital-a
    """
    from meddata_pipeline.app.checks import check_profile

    workplace = _look(home, config, None)
    found = [check_profile(workplace, h) for h in ([hospital] if hospital else workplace.config.hospitals())]

    def text(_: dict[str, Any]) -> str:
        lines = []
        for p in found:
            lines.append(f"{p['hospital']}: {len(p['tables'])} tables, {len(p['kinds'])} kinds")
            for q in p["open_questions"]:
                place = f"column {q['position']}" if q["position"] else f"no column for {q['column']}"
                lines.append(f"    {q['why']}: {q['day']} {q['table']} {q['file']} {place}")
            for c in p["doubtful_columns"]:
                lines.append(
                    f"    {c['table']}.{c['column']} ({c['expected']}): its header {c['header']} says {c['seen']}"
                )
        return "\n".join(lines)

    answer({"profiles": found, "open_questions": sum(len(p["open_questions"]) for p in found)}, as_json, text)


@product_app.command("check")
def product_check(
    product: Annotated[str | None, typer.Argument(metavar="ID", help="By default every product.")] = None,
    home: Home = None,
    config: ConfigDir = None,
    as_json: Json = False,
) -> None:
    """Check a product's files against each other, and find the columns on which they disagree.

    Example: meddata product check inflammation-pulpitis
    """
    from meddata_pipeline.app.checks import check_product

    workplace = _look(home, config, None)
    found = [check_product(workplace, p) for p in ([product] if product else workplace.config.products())]
    reasons = [r for p in found for r in p["reasons"]]

    def text(_: dict[str, Any]) -> str:
        lines = [f"{p['id']}: {len(p['columns'])} columns, {len(p['reasons'])} disagreements" for p in found]
        return "\n".join([*lines, *_reason_lines(reasons)])

    answer({"products": found, "reasons": reasons}, as_json, text)
    if reasons:
        raise typer.Exit(1)


@contract_app.command("suggest")
def contract_suggest(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="CSV (UTF-8, comma, with a header) or Parquet.")],
    out: Annotated[Path | None, typer.Option("--out", help="Write the draft here; never over a file.")] = None,
    person: Annotated[
        str | None, typer.Option("--person", help="Column that tells persons apart; by default it is looked for.")
    ] = None,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Draft an ODCS contract from a table, with the questions that only people can answer. No raw value leaves.

    Example: meddata contract suggest births.csv --out draft.yaml
    """
    from meddata_pipeline.app.contracts import as_yaml, suggest
    from meddata_pipeline.storage.files import create_if_absent

    settings = settings_of(None, None, lang)
    if out is not None and out.exists():
        raise BadInput("A file of that name exists; a draft never replaces it", where="--out")
    with progress_bar() as show:
        found = suggest(table, person, show)
    written = as_yaml(found["draft"], found["open_questions"])
    if out is not None and not create_if_absent(out, written.encode()):
        raise BadInput("A file of that name exists; a draft never replaces it", where="--out")
    body = {**found, "file": str(out) if out is not None else None}
    if not as_json:
        for question in found["open_questions"]:
            note(f"? {question['column'] or '-'}: {question['question'][settings.lang]}")
    answer(body, as_json, lambda b: b["file"] or written.rstrip("\n"))


@contract_app.command("diff")
def contract_diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="The earlier ODCS contract.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The later one.")],
    as_json: Json = False,
) -> None:
    """Show what changed between two contracts, and whether the version says so (a release asks it to).

    Example: meddata contract diff contract.yaml contract-new.yaml
    """
    from meddata_pipeline.app.contracts import compare

    def text(b: dict[str, Any]) -> str:
        lines = [f"{c['class']:10} {c['code']}: {c['detail']} ({c['where']})" for c in b["changes"]]
        lines.append(f"{b['from']} to {b['to']}: {len(b['changes'])} changes, needs a new {b['needs']} version")
        if b["needs"] == "none":
            lines[-1] = f"{b['from']} to {b['to']}: no changes"
        return "\n".join(
            [*lines, *(["a release would be refused:"] if b["reasons"] else []), *_reason_lines(b["reasons"])]
        )

    answer(compare(old, new), as_json, text)


# -- tools on files ----------------------------------------------------------------------------------------------------

TextFile = Annotated[
    Path | None, typer.Argument(metavar="[FILE]", help="JSON Lines, UTF-8; by default standard input.")
]
TextLang = Annotated[str, typer.Option("--lang", help="Language of the texts: zh, en or auto (each by its letters).")]
RosterFile = Annotated[Path | None, typer.Option("--roster", help="Names of staff, one per line.")]
LinesOnly = Annotated[bool, typer.Option("--json", help="Accepted; the answer is always JSON Lines.")]


@contextmanager
def _opened(file: Path | None) -> Iterator[IO[bytes]]:
    if file is None or str(file) == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = file.open("rb")
    except OSError:
        raise BadInput("The file of texts cannot be read", where="FILE") from None
    with stream:
        yield stream


def _put_lines(answers: Iterator[dict[str, Any]]) -> None:
    """Print JSON Lines; end with exit code 2 if a line could not be read."""
    bad = 0
    for body in answers:
        bad += "error" in body
        line = json.dumps(body, ensure_ascii=False)
        # An id may hold half a surrogate pair, which no UTF-8 stream takes.
        sys.stdout.write((line if line.isascii() or _encodable(line) else json.dumps(body)) + "\n")
    if bad:
        note(f"meddata: {bad} lines could not be read; each has its error in its place")
        raise typer.Exit(2)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@app.command()
def detect(
    file: TextFile = None, lang: TextLang = "auto", roster: RosterFile = None, as_json: LinesOnly = False
) -> None:
    """Find identifiers in texts. JSON Lines {"id", "text"} in, {"id", "spans"} out, in the same order.

    Example: meddata detect notes.jsonl --roster staff.txt
    """
    from meddata_pipeline.app import tools
    from meddata_pipeline.privacy.jsonl import detect_lines

    detector, by_lang = tools.detectors(lang, roster)
    with _opened(file) as stream:
        _put_lines(detect_lines(tools.text_lines(stream), detector, detectors=by_lang))


@app.command()
def redact(
    file: TextFile = None,
    style: Annotated[
        str, typer.Option("--style", help="tag: [PERSON_1]; surrogate: made-up values of the same shape.")
    ] = "tag",
    key_file: Annotated[Path | None, typer.Option("--key-file", help="A root key; same key, same surrogates.")] = None,
    lang: TextLang = "auto",
    roster: RosterFile = None,
    home: Home = None,
    as_json: LinesOnly = False,
) -> None:
    """Replace identifiers in texts. JSON Lines {"id", "text"} in, {"id", "text", "spans"} out, in the same order.

    Example: meddata redact notes.jsonl --style surrogate --key-file research.key
    """
    from meddata_pipeline.app import tools
    from meddata_pipeline.privacy.jsonl import redact_lines

    if style not in ("tag", "surrogate"):
        raise BadInput("The style is tag or surrogate", where="--style")
    key = _redaction_key(key_file, home)
    detector, by_lang = tools.detectors(lang, roster)
    with _opened(file) as stream:
        _put_lines(redact_lines(tools.text_lines(stream), detector, key, style=style, detectors=by_lang))


def _redaction_key(key_file: Path | None, home: Path | None) -> bytes:
    import secrets

    from meddata_pipeline.app.status import require_home
    from meddata_pipeline.app.tools import keyring_of
    from meddata_pipeline.storage.keys import load_keyring

    if key_file is not None:
        return keyring_of(key_file).derive("redact")
    if home is not None or os.environ.get("MEDDATA_HOME"):
        settings = settings_of(home)
        require_home(settings)
        return load_keyring(settings).derive("redact")
    note("no key and no home: an ephemeral key; another call gives other surrogates and shifts")
    return secrets.token_bytes(32)


Table = Annotated[Path, typer.Argument(metavar="TABLE", help="CSV (UTF-8) or Parquet.")]
PolicyFile = Annotated[Path, typer.Option("--policy", help="The policy, see formats/policy.md.")]


def _risk_lines(risk: dict[str, Any]) -> list[str]:
    lines = [f"{risk['rows']} rows, {risk['classes']} classes, {risk['uniques']} unique"]
    for attacker in ("prosecutor", "journalist"):
        found = risk[attacker]
        lines.append(f"{attacker}: highest {found['highest']:.4f}, at risk {found['records_at_risk']:.2%}")
    lines.append(f"marketer: {risk['marketer']['success_rate']:.4f}")
    silent = risk.get("without_estimate", [])
    estimates = [f"{n} {v:.6f}" for n, v in risk["population_uniqueness"].items() if v is not None and n not in silent]
    if estimates:
        lines.append(f"unique in the population, estimated: {', '.join(estimates)}")
    if (attack := risk.get("attack")) is not None:
        low, high = attack["interval"]
        kept = "within" if attack["met"] else "above"
        lines.append(
            f"linkage attack: {attack['success_rate']:.4f} ({low:.4f} to {high:.4f}), {kept} the limit "
            f"{attack['threshold']:g}"
        )
    return lines


@app.command()
def anonymize(
    table: Table,
    policy: PolicyFile,
    out: Annotated[Path, typer.Option("--out", help="The anonymised table, CSV or Parquet by its suffix.")],
    as_json: Json = False,
) -> None:
    """Anonymise a table by a policy; without a solution nothing is written and the exit code is 1.

    Example: meddata anonymize births.csv --policy policy.yaml --out released.csv
    """
    from meddata_pipeline.privacy.tabular.files import anonymize_file

    def text(b: dict[str, Any]) -> str:
        levels = ", ".join(f"{column} {level}" for column, level in b["transformation"].items())
        lines = [f"levels: {levels}", f"loss {b['loss']}", f"{b['suppressed_rows']} of {b['rows']} rows suppressed"]
        return "\n".join([*lines, *_risk_lines(b["risk"])])

    answer(anonymize_file(table, policy, out), as_json, text)


@app.command()
def risk(table: Table, policy: PolicyFile, as_json: Json = False) -> None:
    """Risk of re-identification of a table as it lies.

    Example: meddata risk births.csv --policy policy.yaml
    """
    from meddata_pipeline.privacy.risk import risk_file

    answer(risk_file(table, policy), as_json, lambda b: "\n".join(_risk_lines(b)))


@app.command()
def validate(
    table: Table,
    contract: Annotated[Path, typer.Option("--contract", help="ODCS 3.1 contract.")],
    as_json: Json = False,
) -> None:
    """Check a table against an ODCS contract; a failed check of severity error gives exit code 1.

    Example: meddata validate births.csv --contract contract.yaml
    """
    from meddata_pipeline.quality.api import validate_file

    result = validate_file(table, contract)
    body = {**result.as_dict(), "reasons": [r.as_dict() for r in result.reasons()]}

    def text(b: dict[str, Any]) -> str:
        lines = [f"{c['status']:8} {c['severity']:8} {c['id']}: {c['failed_rows']} rows" for c in b["checks"]]
        scores = [f"{name}: {score:.3f}" for name, score in b["scores"].items() if score is not None]
        return "\n".join([*lines, *scores])

    answer(body, as_json, text)
    if not result.passed:
        raise typer.Exit(1)


@app.command()
def evaluate(
    release: Annotated[
        Path, typer.Argument(metavar="RELEASE", help="A version's or candidate's folder, or a bundle's.")
    ],
    key: Annotated[Path, typer.Option("--key", help="Your own Ed25519 key (PEM); `meddata keys new FILE` makes one.")],
    rules: Annotated[Path | None, typer.Option("--rules", help="Your own rules beside the contract's.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for reports and attestation.json; by default by its name here.")
    ] = None,
    reservation: Annotated[
        list[str] | None, typer.Option("--reservation", help="What you reserve, in your words (repeat).")
    ] = None,
    name: Annotated[str, typer.Option("--name", help="Your name as the evaluator.")] = "",
    months: Annotated[int, typer.Option("--months", min=1, max=120, help="How long the attestation holds.")] = 12,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Evaluate a release as a third party: reports and a signed attestation; a failed blocking rule gives exit code 1.

    Example: meddata evaluate .meddata/products/inflammation-pulpitis-cohort/1.1 --key evaluator.pem --name "Centre A"
    """
    from meddata_pipeline.app.evaluation import evaluate as run_evaluation

    speech = settings_of(None, None, lang).lang
    made = run_evaluation(release, key, rules=rules, out=out, reservations=reservation or (), name=name, months=months)

    def text(b: dict[str, Any]) -> str:
        c, again = b["counts"], b["reproduced"]
        same = again["checks"] - len(again["differ"])
        zh = f"{c['checks']} 条规则：通过 {c['passed']}，未通过 {c['failed']}，未能执行 {c['errored']}"
        en = f"{c['checks']} rules: {c['passed']} passed, {c['failed']} failed, {c['errored']} could not be run"
        lines = [_say(speech, zh, en)]
        lines += [f"{dimension}: {score:.3f}" for dimension, score in b["scores"].items() if score is not None]
        zh = f"发布方的 {again['checks']} 条结果中 {same} 条重算一致"
        lines.append(_say(speech, zh, f"{same} of the publisher's {again['checks']} results found again"))
        return "\n".join([*lines, *_reason_lines(b["reasons"]), *b["reports"], b["attestation"]])

    answer(made, as_json, text)
    if not made["passed"]:
        raise typer.Exit(1)


@app.command()
def associate(
    table: Table,
    study: Annotated[Path, typer.Option("--study", help="The study, see formats/study.md.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for report.html and results.json.")],
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Run an association study on a table. The report is suppressed and rounded, the estimates of --json are not.

    Example: meddata associate births.csv --study study.yaml --out report
    """
    from meddata_pipeline.app.tools import associate as run_study

    def text(b: dict[str, Any]) -> str:
        shown = [e for e in b["estimates"] if e["measure"] in ("or", "rr", "rd")]
        lines = [f"{e['id']}: {e['estimate']} ({e['low']} to {e['high']}){_because(e)}" for e in shown]
        return "\n".join([*lines, b["report"], b["results"]])

    answer(run_study(table, study, out, settings_of(None, None, lang).lang), as_json, text)


def _because(estimate: dict[str, Any]) -> str:
    return f", {estimate['reason']}" if estimate["reason"] else ""


# -- catalogue and trade -----------------------------------------------------------------------------------------------


@catalog_app.command("build")
def catalog_build(home: Home = None, config: ConfigDir = None, as_json: Json = False) -> None:
    """Build the site again from every committed version.

    Example: meddata catalog build --home .meddata
    """
    from meddata_pipeline.app.publication import build_site
    from meddata_pipeline.app.status import require_home
    from meddata_pipeline.app.tools import entries_of

    workplace = _look(home, config, None)
    require_home(workplace.settings)
    facts = build_site(workplace).facts
    entries = [p.relative_to(workplace.home).as_posix() for p in entries_of(workplace.home)]
    body = {"pages": facts["pages"], "products": facts["products"], "entries": entries, "site": "catalog/index.html"}
    answer(body, as_json, lambda b: f"{b['pages']} pages of {b['products']} products in {workplace.home / 'catalog'}")


@catalog_app.command("validate")
def catalog_validate(
    entry: Annotated[
        list[Path] | None, typer.Argument(help="Entries (.ttl, .jsonld); by default all that is published.")
    ] = None,
    shapes: Annotated[
        list[Path] | None, typer.Option("--shapes", help="SHACL shapes, files or folders (repeat).")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Check catalogue entries against SHACL shapes, offline; a violation gives exit code 1.

    Example: meddata catalog validate --home .meddata
    """
    from meddata_pipeline.app.status import require_home
    from meddata_pipeline.app.tools import entries_of, validate_entries

    settings = settings_of(home)
    if not entry:
        require_home(settings)
    items = validate_entries(entry or entries_of(settings.home), shapes or ())
    reasons = [
        {"code": "catalog-entry", "detail": f"{r['path']}: {r['message']}", "where": r["focus"]}
        for i in items
        for r in i["results"]
        if r["severity"] == "Violation"
    ]
    body = {
        "entries": [{"entry": i["entry"], "violations": i["violations"], "warnings": i["warnings"]} for i in items],
        "violations": sum(i["violations"] for i in items),
        "items": [{"entry": i["entry"], **r} for i in items for r in i["results"]],
        "reasons": reasons,
    }
    lines = [f"{e['entry']}: {e['violations']} violations, {e['warnings']} warnings" for e in body["entries"]]
    answer(body, as_json, lambda b: "\n".join([*lines, *_reason_lines(b["reasons"])]) or "no entries")
    if reasons:
        raise typer.Exit(1)


@catalog_app.command("serve")
def catalog_serve(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes any free one.")] = 8600,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Serve the catalogue on 127.0.0.1 until Ctrl-C: published versions only, read-only, nothing restricted.

    Example: meddata catalog serve --port 8600
    """
    from meddata_pipeline.app.catalog_server import server
    from meddata_pipeline.app.status import require_home

    settings = settings_of(home)
    require_home(settings)
    try:
        made = server(settings.home, port)
    except OSError:
        raise BadInput("The port is taken", where="--port", next_step="Choose another one, or 0") from None
    with made:
        answer({"url": f"http://127.0.0.1:{made.server_address[1]}/"}, as_json, lambda b: str(b["url"]))
        sys.stdout.flush()
        made.serve_forever()


@app.command()
def price(
    product: Annotated[str, typer.Argument(metavar="ID")],
    home: Home = None,
    config: ConfigDir = None,
    as_json: Json = False,
) -> None:
    """The price estimate by the cost approach, with every step and its reason; amounts in fen.

    Example: meddata price inflammation-pulpitis
    """
    from meddata_pipeline.app.trade import price as estimate
    from meddata_pipeline.exchange.pricing import yuan

    def text(b: dict[str, Any]) -> str:
        lines = [f"{yuan(s['amount_fen']):>14}  {s['reason']['zh']}  {s['reason']['en']}" for s in b["steps"]]
        return "\n".join([*lines, f"{yuan(b['low_fen'])} – {yuan(b['high_fen'])} 元 yuan", *b["notice"].values()])

    answer(estimate(_look(home, config, None), product), as_json, text)


@app.command()
def rights(
    product: Annotated[str, typer.Argument(metavar="ID")],
    home: Home = None,
    config: ConfigDir = None,
    as_json: Json = False,
) -> None:
    """Which evidence of the three rights each hospital has supplied, and which is missing.

    Example: meddata rights inflammation-pulpitis
    """
    from meddata_pipeline.app.trade import rights as statement

    def text(b: dict[str, Any]) -> str:
        lines = []
        for holder in b["holders"]:
            states = ", ".join(f"{r['right']} {r['status']}" for r in holder["rights"])
            lines.append(f"{holder['hospital']}: {states}")
        return "\n".join([*lines, *b["notice"].values()])

    answer(statement(_look(home, config, None), product), as_json, text)


@order_app.command("place")
def order_place(
    product: str,
    version: str,
    buyer: Annotated[str, typer.Option("--buyer", help="The buyer's age recipient, age1….")],
    price_fen: Annotated[int, typer.Option("--price-fen", min=1, help="Price including taxes, in fen.")],
    home: Home = None,
    config: ConfigDir = None,
    as_json: Json = False,
) -> None:
    """Sell a version to one buyer: order, encrypted bundle, settlement; asked again, nothing happens twice.

    Example: meddata order place inflammation-pulpitis 1.1 --buyer age1… --price-fen 400000
    """
    from meddata_pipeline.app.trade import place_order

    def text(b: dict[str, Any]) -> str:
        return f"{b['order']}\n{b['bundle']}\n{_settlement_text(b['settlement'])}"

    answer(place_order(_look(home, config, None), product, version, buyer, price_fen), as_json, text)


@order_app.command("list")
def order_list(home: Home = None, as_json: Json = False) -> None:
    """List the orders of a home.

    Example: meddata order list
    """
    from meddata_pipeline.app.trade import orders

    def text(b: dict[str, Any]) -> str:
        return (
            "\n".join(f"{o['order']} {o['product']} {o['version']}: {o['price_fen']} fen" for o in b["items"])
            or "no order"
        )

    answer({"items": orders(_look(home, None, None))}, as_json, text)


def _settlement_text(settlement: dict[str, Any]) -> str:
    parts = [(part, line) for part in ("taxes", "fees", "payouts") for line in settlement[part]]
    lines = [f"{line['amount_fen']:>12} fen  {part}  {line['id']} {line['party']}" for part, line in parts]
    return "\n".join([*lines, f"{settlement['gross_fen']:>12} fen  in all"])


@app.command()
def settle(order: str, home: Home = None, config: ConfigDir = None, as_json: Json = False) -> None:
    """Divide the price of an order among taxes, fees, hospitals and operator, exact to the fen; once.

    Example: meddata settle order-0123456789abcdef
    """
    from meddata_pipeline.app.trade import settle as divide

    answer(divide(_look(home, config, None), order), as_json, _settlement_text)


@app.command()
def verify(
    bundle: Annotated[
        Path, typer.Argument(metavar="FILE", help="A bundle, its decrypted tar, a version's folder, or an attestation.")
    ],
    identity: Annotated[Path | None, typer.Option("--identity", help="The buyer's age identity file.")] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="The publisher's or evaluator's public key, known from elsewhere.")
    ] = None,
    release: Annotated[
        Path | None, typer.Option("--release", help="Folder of the release that an attestation is about.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a bundle, a release or an attestation offline: signatures, files, dates; exit code 1 if a check fails.

    Example: meddata verify 1.1-0123456789abcdef.tar.age --identity buyer.txt
    """
    from meddata_pipeline.exchange import attestation
    from meddata_pipeline.exchange.bundle import verify as check

    attested = attestation.looks_like(bundle)
    if attested:
        found = attestation.verify(bundle, release=release, public_key=key)
    else:
        found = check(bundle, identity=identity, public_key=key)
    failed = [c for c in found["checks"] if c["status"] == "failed"]
    body = {
        **found,
        "reasons": [{"code": c.get("code", c["id"]), "detail": c["detail"], "where": bundle.name} for c in failed],
    }

    def text(b: dict[str, Any]) -> str:
        lines = [f"{c['status']:8} {c['id']}{': ' + c['detail'] if c['detail'] else ''}" for c in b["checks"]]
        if b["demo"]:
            lines.append("signed with demo keys: NOT FOR REAL DATA")
        if attested and b["kind"]:
            by = b["evaluator"]["en"]
            lines.append(f"{b['kind']} of {b['product']} {b['version']} by {by}, key {b['issuer']}")
        elif b["ok"] and not b["trusted"]:
            lines.append(f"publisher's key: {b['publisher_key']}; compare it with one from elsewhere, with --key")
        return "\n".join(lines)

    answer(body, as_json, text)
    if not found["ok"]:
        raise typer.Exit(1)


# -- the way out -------------------------------------------------------------------------------------------------------


def _write_utf8() -> None:
    """What machines read is UTF-8, whatever the locale of the shell."""
    if isinstance(sys.stdout, TextIOWrapper) and not sys.stdout.isatty():
        sys.stdout.reconfigure(encoding="utf-8")


def _refusal(error: MeddataError) -> dict[str, Any]:
    reasons = [r.as_dict() for r in error.reasons] if isinstance(error, Refused) else []
    return {"error": str(error), "reasons": reasons}


def main(arguments: list[str] | None = None) -> None:
    """Run a command; exit with 0 done, 1 refused, 2 bad usage or bad input."""
    words = sys.argv[1:] if arguments is None else arguments
    _write_utf8()
    try:
        app(words, prog_name="meddata")
    except SystemExit as end:
        # Typer has told the person what is wrong with the usage; a script that asked for JSON gets its one object.
        if end.code == _USAGE and "--json" in words and words[0] not in _JSON_LINES:
            sys.stdout.write(json.dumps({"error": "bad usage, see standard error", "reasons": []}) + "\n")
        raise
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except MeddataError as error:
        note(f"meddata: {error}")
        if isinstance(error, Refused):
            for reason in error.reasons:
                note(f"  {reason.code}: {reason.detail} ({reason.where})")
        if "--json" in words:
            sys.stdout.write(json.dumps(_refusal(error), ensure_ascii=False) + "\n")
        sys.exit(1 if isinstance(error, Refused) else 2)
    except BrokenPipeError:
        # Whoever read our output has gone; what is still buffered must not raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:  # noqa: BLE001 - a library's text may quote the data it choked on
        frames = [f for f in traceback.extract_tb(error.__traceback__) if "meddata_pipeline" in f.filename]
        where = f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else "outside the package"
        if os.environ.get("MEDDATA_DEBUG"):
            traceback.print_exc()
        note(f"meddata: internal error: {type(error).__name__} in {where}; its text is withheld, it may hold data")
        if "--json" in words:
            told = {"code": "internal-error", "detail": type(error).__name__, "where": where}
            sys.stdout.write(json.dumps({"error": "internal error", "reasons": [told]}) + "\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
