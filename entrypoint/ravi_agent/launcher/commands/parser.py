"""From the commands' options dataclasses to the command line that click parses."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ravi_agent import __version__
from ravi_agent.launcher.commands import mistakes
from ravi_agent.launcher.commands.engine_options import EngineOptions
from ravi_agent.launcher.commands.flags import (
    Call,
    Command,
    Completion,
    Declared,
    build,
    declared,
)
from ravi_agent.launcher.commands.program import PROGRAM
from ravi_agent.launcher.commands.registry import DEFAULT, NAMES, command

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_CONTEXT: Mapping[str, Any] = {
    "help_option_names": ["-h", "--help"],
    "max_content_width": 100,
    "allow_extra_args": True,  # refused here, in words that say what to do
}
_IS_DEFAULT = "ravi_agent.is_default"  # in `meta`: no command was typed


class LaunchCommand(click.Command):
    """One command of `ravi-launch`."""

    def __init__(self, command: Command[Any]) -> None:
        super().__init__(
            command.name,
            params=[*map(_parameter, command.parameters), _version()],
            help=command.summary,
            short_help=command.summary,
            context_settings=dict(_CONTEXT),
        )
        self.command = command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words = list(args)
        is_default = bool(ctx.meta.get(_IS_DEFAULT))
        try:
            rest = super().parse_args(ctx, args)
        except click.NoSuchOption as exc:
            raise mistakes.unknown_flag(
                self.command, exc.option_name, words, is_default=is_default
            ) from exc
        if ctx.args and not ctx.resilient_parsing:
            raise mistakes.extra_argument(self.command, ctx.args[0])
        return rest

    def invoke(self, ctx: click.Context) -> int:
        values, given = _typed(ctx, self.command)
        mistakes.check_engine(self.command, values.get("backend"), given)
        command = ctx.obj
        if command is not None and not self.command.has_command:
            raise mistakes.command_for_agents(self.command)
        options = build(self.command.options, values)
        call = Call(given=given, command=command, environ=dict(os.environ))
        return self.command.execute(options, call)

    def format_help(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        from ravi_agent.launcher.commands.help_text import command_help
        from ravi_agent.launcher.commands.reference import describe

        formatter.write(command_help(describe(self.command), formatter.width))


class LaunchGroup(click.Group):
    """`ravi-launch`: the engine's flags, then a command, or else the default one."""

    def __init__(self) -> None:
        super().__init__(
            PROGRAM,
            params=[*map(_parameter, declared(EngineOptions)), _version()],
            no_args_is_help=False,
            context_settings={**_CONTEXT, "allow_interspersed_args": False},
        )

    def list_commands(self, _: click.Context) -> list[str]:
        return sorted(NAMES)

    def get_command(self, _: click.Context, cmd_name: str) -> click.Command | None:
        """Made when it is typed: all of them have some two hundred flags."""
        if cmd_name in NAMES and cmd_name not in self.commands:
            self.commands[cmd_name] = LaunchCommand(command(cmd_name))
        return self.commands.get(cmd_name)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = self._end_of_flags(ctx, args)
        is_end = at == len(args) and not ctx.resilient_parsing
        if is_end or (at < len(args) and args[at].startswith("-")):
            ctx.meta[_IS_DEFAULT] = True
            args[at:at] = [DEFAULT]
        return super().parse_args(ctx, args)

    def _end_of_flags(self, ctx: click.Context, args: list[str]) -> int:
        """The index of the first word that is neither a flag of this level nor its value.

        Past the end where a value is missing.
        """
        flags = {
            name: isinstance(one, click.Option) and not one.is_flag
            for one in self.get_params(ctx)
            for name in one.opts
        }
        at = 0
        while at < len(args):
            word = args[at]
            if word in flags:
                at += 1 + flags[word]
            elif flags.get(word.partition("=")[0]) and word.startswith("--"):
                at += 1
            elif flags.get(word[:2]) and not word.startswith("--"):
                at += 1  # -HURL
            else:
                return at
        return at

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in NAMES and not ctx.resilient_parsing:
            raise mistakes.unknown_command(args[0])
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        found = super().shell_complete(ctx, incomplete)
        if incomplete.startswith("-"):  # a flag of the default command makes it the command
            known = {one.value for one in found}
            default = self.get_command(ctx, DEFAULT)
            more = default.shell_complete(ctx, incomplete) if default else []
            found += [one for one in more if one.value not in known]
        return found

    def format_help(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        from ravi_agent.launcher.commands.help_text import program_help
        from ravi_agent.launcher.commands.reference import describe, describe_commands

        default = describe(command(DEFAULT))
        text = program_help(describe_commands(), default, formatter.width)
        formatter.write(text)


class _Value(click.ParamType[Any]):
    """The values of one parameter, refused in our words."""

    name = "value"

    def __init__(self, one: Declared) -> None:
        self._one = one

    def convert(self, value: Any, *_: object) -> Any:
        one, parameter = self._one, self._one.parameter
        if parameter.choices and value not in parameter.choices:
            raise mistakes.bad_choice(one, str(value))
        if one.kind is str or not isinstance(value, str):
            return value
        try:
            number = one.kind(value)
        except ValueError as exc:
            raise mistakes.bad_number(one, value) from exc
        if parameter.minimum is not None and number < parameter.minimum:
            raise mistakes.bad_number(one, value)
        return number

    def shell_complete(
        self, ctx: click.Context, _: click.Parameter, incomplete: str
    ) -> "list[CompletionItem]":
        from click.shell_completion import CompletionItem

        from ravi_agent.launcher.commands import completions

        kinds = {Completion.FILE: "file", Completion.DIRECTORY: "dir"}
        if kind := kinds.get(self._one.parameter.completion):
            return [CompletionItem(incomplete, type=kind)]
        given = dict(ctx.params)
        if ctx.parent:
            given = {**ctx.parent.params, **{k: v for k, v in given.items() if v is not None}}
        found = completions.values(self._one, given)
        return [CompletionItem(one) for one in found if one.startswith(incomplete)]


def _parameter(one: Declared) -> click.Parameter:
    parameter = one.parameter
    if not parameter.names:
        return click.Argument(
            [one.field],
            type=_Value(one),
            nargs=-1 if one.is_repeated else 1,
            required=one.is_required,
            metavar=parameter.metavar,
        )
    names = [*parameter.names, one.field]
    if one.kind is bool:
        return click.Option(names, is_flag=True, default=False, help=parameter.help)
    return click.Option(
        names,
        type=_Value(one),
        multiple=one.is_repeated,
        default=one.default,
        help=parameter.help,
    )


def _version() -> click.Option:
    def show(ctx: click.Context, _: click.Parameter, is_asked: bool) -> None:
        if is_asked and not ctx.resilient_parsing:
            click.echo(f"{PROGRAM} {__version__}")
            ctx.exit()

    return click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=show,
        help="Show the version.",
    )


def _typed(ctx: click.Context, command: Command[Any]) -> tuple[dict[str, Any], frozenset[str]]:
    """The values by field, and the long names of the flags that were typed.

    A flag of the engine that stands before the command counts as if it stood behind it.
    """
    values = dict(ctx.params)
    own = {one.field: one for one in command.parameters}
    given = {one.parameter.name for one in own.values() if _is_typed(ctx, one.field)}
    parent = ctx.parent
    for before in declared(EngineOptions):
        if parent is None or not _is_typed(parent, before.field):
            continue
        one = own.get(before.field)
        if one is None:
            raise mistakes.unknown_flag(command, before.parameter.name, (), is_default=False)
        value = parent.params[before.field]
        if one.parameter.choices and value not in one.parameter.choices:
            raise mistakes.bad_choice(one, value)
        if one.parameter.name not in given:
            values[one.field] = value
            given.add(one.parameter.name)
    return values, frozenset(given)


def _is_typed(ctx: click.Context, field: str) -> bool:
    return ctx.get_parameter_source(field) == ParameterSource.COMMANDLINE
