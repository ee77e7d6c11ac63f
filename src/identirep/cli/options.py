"""Arguments and options that several commands have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from identirep.cli.words import quoted

__all__ = [
    "Categorical",
    "Checks",
    "Components",
    "Data",
    "DataOfFit",
    "Decimal",
    "Drop",
    "Engine",
    "Epochs",
    "Features",
    "Groups",
    "HeldOut",
    "Impute",
    "Keep",
    "Labels",
    "Missing",
    "NoEncode",
    "Order",
]
__all__ += ["RegressorOrNone", "Replicates", "Resume", "Run", "Scheduler", "Scratch", "Seed", "Separator", "Sheet"]
__all__ += ["TargetType", "Targets", "Tasks", "Weights"]
__all__ += ["check_engine", "check_settings", "encoding_of", "options_of_files", "parse_components"]
__all__ += ["parse_target_type"]

Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA", help="Table: text such as CSV, Parquet, Feather, Arrow or Excel (.xlsx).", show_default=False
    ),
]
DataOfFit = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="Table: text such as CSV, Parquet, Feather, Arrow or Excel (.xlsx). With --engine, or --regressor none, "
        "also a folder of Parquet, or a pattern in quotes, 'parts/*.csv'.",
        show_default=False,
    ),
]
Run = Annotated[Path, typer.Argument(metavar="DIR", help="Run directory that 'fit' has written.", show_default=False)]
Targets = Annotated[
    list[str],
    typer.Option(
        metavar="NAMES",
        help="Target columns: names or patterns such as 'hardness_*', separated by commas or the option repeated.",
        show_default=False,
    ),
]
Tasks = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="Column with the task of each row, for tables with one target column."),
]
Groups = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="Column whose equal values belong together (same molecule, same batch)."),
]
Order = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Column in whose order rows are alike (time, depth): the last rows are held out, after a gap.",
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Column with what each row says relative to others (one over its variance), 0 to leave it out; no input.",
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="Column of DATA that names the rows, shown beside their numbers; no input."),
]
Features = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAMES",
        help="Input columns, names or patterns. Default: all that are nothing else and do not number the rows.",
    ),
]
Drop = Annotated[
    list[str] | None, typer.Option(metavar="NAMES", help="Columns to leave out of the inputs, names or patterns.")
]
Missing = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MARKS",
        help="What stands for a missing number beside NA, NaN, null, None, #N/A and empty cells, such as '?,-9999'; "
        "what has a comma in it in double quotes, '\"n,a\"'.",
    ),
]
Keep = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMNS", help="Columns of the table to put into the output as they are: names or patterns."),
]
Impute = Annotated[
    Literal["auto", "mean", "median", "none"],
    typer.Option(help="What stands in gaps of inputs; auto: the mean, or nothing with trees, which take gaps."),
]
Categorical = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAMES",
        help="Inputs that are categories whatever they look like, such as codes that are whole numbers.",
    ),
]
NoEncode = Annotated[
    bool, typer.Option("--no-encode", help="Take inputs that are numbers without gaps, and refuse all others.")
]
Separator = Annotated[
    str | None,
    typer.Option(
        metavar="MARK",
        help="What separates cells of a text file: comma, semicolon, tab, bar, space or a character. Default: what its "
        "first rows tell.",
    ),
]
Decimal = Annotated[
    str | None, typer.Option(metavar="MARK", help="Decimal mark of a text file, . or , by default what its rows tell.")
]
Sheet = Annotated[str | None, typer.Option(metavar="NAME", help="Sheet of an Excel workbook. Default: the first.")]
Components = Annotated[
    str, typer.Option("--n-components", "-d", metavar="D|auto", help="Number of latents; auto: all with signal.")
]
Seed = Annotated[int, typer.Option(min=0, metavar="S", help="Seed: the same one gives the same result.")]
HeldOut = Annotated[
    float, typer.Option(min=0.0, max=0.9, metavar="SHARE", help="Share of rows (or groups) held out for scores.")
]
Regressor = Annotated[
    Literal["mtrn", "extra-trees", "ridge", "auto"],
    typer.Option(help="What predicts: networks, trees, a linear model, or the one that does best on rows held out."),
]
RegressorOrNone = Annotated[
    Literal["mtrn", "extra-trees", "ridge", "auto", "none"],
    typer.Option(
        help="What predicts: networks, trees, a linear model, or the one that does best on rows held out. none: inputs "
        "are features already (embeddings), only their axes are fitted, and tables are read in blocks."
    ),
]
Engine = Annotated[
    Literal["stream", "dask"] | None,
    typer.Option(
        help="For tables larger than memory. stream: networks are trained on rows from disk, see --scratch. With "
        "--regressor none what reads the tables: this process, or dask, a file at a time on each worker.",
        show_default=False,
    ),
]
Scratch = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="With --engine stream, where rows lie while networks are trained on them, 12 bytes for each number. "
        "Default: where the run directory is.",
        show_default=False,
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Scheduler of Dask, tcp://HOST:PORT. Default: processes on this machine."),
]
TargetType = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KIND|NAME=KIND",
        help="What targets are: auto, continuous, binary, ordinal or count, for all of them or, repeatable, for the "
        "target (or task) of a name.",
        show_default="auto",
    ),
]
Replicates = Annotated[
    int | None, typer.Option(min=1, metavar="R", help="Networks trained at once; more: stabler, slower.")
]
Epochs = Annotated[int | None, typer.Option(min=1, metavar="N", help="Largest number of passes over the rows.")]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Go on where the same command was cut off (Ctrl-C, SIGTERM, kill); same result."),
]
Checks = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="N",
        help="Fits to halves of the rows that show what comes back, an even number; 0: none, axes are 'not checked'.",
    ),
]


def options_of_files(
    missing: Sequence[str] | None, separator: str | None, decimal: str | None, sheet: str | None
) -> str:
    """Return the options that say how a file is read, as another command takes them, each after a blank."""
    given = [("--missing", marks) for marks in missing or []]
    given += [(f"--{name}", value) for name, value in (("separator", separator), ("decimal", decimal)) if value]
    given += [("--sheet", sheet)] if sheet is not None else []
    # A value that begins with a dash would be taken for an option.
    return "".join(
        f" {quoted(f'{name}={value}') if value[:1] == '-' else f'{name} {quoted(value)}'}" for name, value in given
    )


def parse_components(text: str) -> int | Literal["auto"]:
    """Return "auto" or the number of latents."""
    if text == "auto":
        return "auto"
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise ValueError(f"--n-components is not valid: got {text!r}, expected 'auto' or a number >= 1. Pass one.")
    return int(text)


def parse_target_type(given: Sequence[str] | None, names: Sequence[Any]) -> Any:
    """Return the kind of all targets, or a dict with those of some; `names` are those of targets or tasks."""
    from identirep.target_kinds import KINDS

    kind_of_all, of_some = "auto", dict[Any, str]()
    by_text = {str(name): name for name in names}
    for text in given or []:
        name, mark, kind = text.rpartition("=")
        if (kind if mark else text) not in ("auto", *KINDS):
            raise ValueError(
                f"--target-type is not valid: got {text!r}, expected auto, {', '.join(KINDS)}, or NAME= and one of "
                "these. Correct it."
            )
        if not mark:
            kind_of_all = text
        elif name not in by_text:
            raise ValueError(
                f"--target-type names no target: got {name!r}, expected one of the {len(by_text)} targets, such as "
                f"{next(iter(by_text), '')!r}. Correct it."
            )
        else:
            of_some[by_text[name]] = kind
    if not of_some:
        return kind_of_all
    kinds = {name: of_some.get(name, kind_of_all) for name in by_text.values()}
    return {name: kind for name, kind in kinds.items() if kind != "auto"} or "auto"


def encoding_of(impute: str, categorical: list[str] | None, no_encode: bool) -> dict[str, Any]:
    """Return how inputs are to be encoded, as `read_table` takes it; ValueError if they are not to be, and how."""
    if no_encode and (impute != "auto" or categorical):
        raise ValueError(
            "--no-encode does not go with --impute and --categorical: got both, expected one of them. Leave "
            "--no-encode out."
        )
    return {"impute": impute, "categorical": categorical, "encode": not no_encode}


def check_engine(
    regressor: str, engine: str | None, scheduler: str | None, trained: Sequence[str], in_memory: Sequence[str] = ()
) -> None:
    """Raise if an engine is to compute what it cannot, or if features as they are have options of what is trained.

    Options that need the table `in_memory` do not go with rows on disk.
    """
    if regressor == "mtrn" and engine == "stream" and scheduler is None:
        if in_memory:
            raise ValueError(
                f"--engine stream trains networks on rows from disk, of numbers without gaps: got "
                f"{', '.join(in_memory)} as well, expected none of these. Leave them out, or leave --engine out, which "
                "reads the table into memory."
            )
    elif regressor != "none":
        if engine is not None or scheduler is not None:
            raise ValueError(
                f"--engine does not go with the regressor: got --regressor {regressor} with --engine {engine or 'none'}"
                f"{'' if scheduler is None else ' and --scheduler'}, expected --engine stream for mtrn, which is "
                "trained on rows from disk, or --regressor none, which takes the inputs as features. Change one."
            )
    elif scheduler is not None and engine != "dask":
        raise ValueError(
            f"--scheduler is one of Dask: got {scheduler!r} with --engine {engine or 'stream'}, expected --engine "
            "dask. Add it."
        )
    elif trained:
        raise ValueError(
            f"--regressor none trains nothing and reads numbers alone: got {', '.join(trained)} as well, expected none "
            "of these. Leave them out."
        )


def check_settings(regressor: str, replicates: int | None, epochs: int | None, checks: int) -> None:
    """Raise if checks are not pairs, or if options of networks are given to something else."""
    if checks % 2:
        raise ValueError(
            f"--checks is odd: got {checks}, expected an even number, since halves of the rows come in pairs. Pass 2, "
            "or 0 for no checks."
        )
    if regressor != "mtrn" and (replicates, epochs) != (None, None):
        raise ValueError(
            f"--replicates and --epochs are options of networks: got --regressor {regressor}, expected --regressor "
            "mtrn. Leave them out."
        )
