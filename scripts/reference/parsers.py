"""The commands that argparse reads, out of their parsers."""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from unittest import mock

from ravi_agent.command.table import TABLE
from ravi_agent.command.words import PROGRAM
from ravi_agent.command.words import Command as RaviCommand
from ravi_agent.container import boot, init, release, whoami
from ravi_agent.container.arguments import Parser
from ravi_agent.local import cli as local_cli
from reference.markdown import capitalised
from reference.words import Command, Word, without_default

ENTRYPOINT_USAGE = boot.USAGE


def image_commands() -> list[Command]:
    """`ravi-init`, `ravi-release` and `ravi-whoami`."""
    return [
        *_from_argparse(_parser_of(lambda: init.init(["--help"], mock.Mock()))),
        *_from_argparse(_parser_of(lambda: release.release_command([], {}))),
        *_from_argparse(_parser_of(lambda: whoami.whoami(["--help"]))),
    ]


def settings_with_a_flag() -> set[str]:
    """The variables that `ravi-init` takes as an option too."""
    (provision, *_) = image_commands()
    renamed = {"--name": "RAVI_IDENTITY_NAME"}
    names = [flag.names[-1] for flag in provision.flags]
    return {
        renamed.get(name, f"RAVI_{name.removeprefix('--').upper().replace('-', '_')}")
        for name in names
    }


def ravi_commands() -> tuple[list[Command], list[Word]]:
    """Each call that `ravi` makes, and the options that all of them take."""
    calls = [_from_table(one) for one in TABLE.commands if one.text]
    common = [flag for flag in calls[0].flags if all(flag in call.flags for call in calls)]
    return [
        replace(call, flags=[flag for flag in call.flags if flag not in common]) for call in calls
    ], common


def local_commands() -> list[Command]:
    """`ravi-local`, and its commands where it has any."""
    return list(_from_argparse(_parser_of(lambda: local_cli.serve([]))))


class _Caught(Exception):  # noqa: N818 - carries a parser, no failure
    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


def _parser_of(command: Callable[[], object]) -> argparse.ArgumentParser:
    """The parser that a command builds, caught at the moment when it would read its arguments."""

    def catch(parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        raise _Caught(parser)

    with mock.patch.object(Parser, "parse_args", catch):
        try:
            command()
        except _Caught as caught:
            return caught.parser
    raise AssertionError("it reads no command line")


def _from_table(command: RaviCommand) -> Command:
    arguments: list[Word] = []
    flags: list[Word] = []
    for one in command.fields():
        meaning, default = without_default(one.text)
        word = Word(
            names=(one.name if one.is_flag else one.usage(),),
            value=one.metavar if one.is_flag else "",
            default=default,
            meaning=capitalised(meaning)
            + (" Required." if one.is_flag and one.is_required else ""),
        )
        (flags if one.is_flag else arguments).append(word)
    usage = [PROGRAM, command.words, "[OPTIONS]", *(word.names[0] for word in arguments)]
    return Command(
        name=f"{PROGRAM} {command.words}",
        usage=" ".join(usage),
        about=command.text,
        arguments=arguments,
        flags=flags,
    )


def _from_argparse(parser: argparse.ArgumentParser) -> Iterator[Command]:
    """The command of a parser, or of each parser below it.

    argparse has no public way to list what a parser takes.
    """
    below = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    for words in below:
        for inner in words.choices.values():
            yield from _from_argparse(inner)
    if below:
        return
    arguments, flags = [], []
    for action in parser._actions:
        if action.help == argparse.SUPPRESS or isinstance(action, argparse._HelpAction):
            continue
        text = (action.help or "").replace("(%(default)s)", "")
        meaning, default = without_default(text % {"default": action.default})
        if not action.option_strings:
            name = str(action.metavar or action.dest).upper()
            arguments.append(
                Word(
                    names=(f"[{name}]" if action.nargs == "?" else name,),
                    meaning=capitalised(meaning),
                )
            )
            continue
        is_switch = action.nargs == 0
        flags.append(
            Word(
                names=tuple(sorted(action.option_strings, key=len)),
                value="" if is_switch else str(action.metavar or action.dest).upper(),
                default=default or ("" if is_switch else str(action.default or "")),
                meaning=capitalised(meaning) + (" Required." if action.required else ""),
            )
        )
    usage = [parser.prog, "[OPTIONS]" if flags else "", *(word.names[0] for word in arguments)]
    yield Command(
        name=parser.prog,
        usage=" ".join(filter(None, usage)),
        about=parser.description or "",
        arguments=arguments,
        flags=flags,
    )
