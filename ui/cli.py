"""The command `readingroom`: parses, calls, prints. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated

import typer

from ui.commands import audit, evals, knowledge, models, samples, tools, users
from ui.commands.ask import ask
from ui.commands.demo import demo
from ui.commands.doctor import doctor
from ui.commands.mcp import mcp
from ui.commands.replay import replay
from ui.commands.serve import serve
from ui.commands.train import train
from ui.failures import STOPPED, explain

app = typer.Typer(
    name="readingroom",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in (ask, serve, mcp, demo, doctor, replay, train):
    app.command()(command)
groups = {
    "tools": tools, "models": models, "samples": samples, "knowledge": knowledge, "eval": evals, "audit": audit,
    "users": users,
}  # fmt: skip
for name, module in groups.items():
    app.add_typer(module.app, name=name)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        sys.stdout.write(f"readingroom {version('readingroom')}\n")
        raise typer.Exit


@app.callback()
def options(
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and log messages.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Ask about medical images in plain language. Research use only; not a medical device."""
    logging.basicConfig(level=logging.ERROR, format="%(name)s: %(message)s", stream=sys.stderr, force=True)
    if debug:
        logging.getLogger("readingroom").setLevel(logging.DEBUG)
    else:
        warnings.simplefilter("ignore")  # of libraries; ours are errors, or lines of the result


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if "--debug" in given:  # allowed behind the command too
        given.remove("--debug")
        given.insert(0, "--debug")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without UTF-8 must not stop a run
    sys.exit(_run(given))


def _run(given: list[str]) -> int:
    debug = "--debug" in given
    try:
        return int(app(args=given, prog_name="readingroom", standalone_mode=False) or 0)
    except (KeyboardInterrupt, typer.Abort):
        return STOPPED
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception as error:  # the outermost frame: every error becomes one line and an exit code
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # how typer says that a call is wrong
            return _say(_misuse(error.format_message()), int(error.exit_code))
        if debug:
            raise
        return _say(*explain(error))


def _misuse(message: str) -> str:
    return message if "\n" in message else f"{message} See 'readingroom --help'."  # with lines: the help itself


def _say(line: str, code: int) -> int:
    sys.stderr.write(f"readingroom: {line}\n")
    return code
