"""The commands as data, which reference pages are made from."""

import json
from dataclasses import asdict

from ravi_agent.launcher.commands.flags import Group
from ravi_agent.launcher.commands.reference import describe_commands


def test_every_command_and_every_flag_is_described() -> None:
    described = describe_commands()

    assert json.loads(json.dumps([asdict(one) for one in described]))
    assert [one.name for one in described if one.is_default] == ["run"]
    for command in described:
        assert command.summary, command.name
        for one in [*command.arguments, *command.flags]:
            assert one.help.endswith("."), one
            assert one.type.removeprefix("list of ").rstrip("s") in {
                "string",
                "integer",
                "number",
                "boolean",
            }
            assert bool(one.metavar) == (one.type != "boolean")


def test_flags_come_in_the_order_of_their_groups() -> None:
    order = list(map(str, Group))

    for command in describe_commands():
        groups = [order.index(one.group) for one in command.flags]
        assert groups == sorted(groups), command.name


def test_a_flag_says_what_is_known_of_it() -> None:
    (run,) = [one for one in describe_commands() if one.name == "run"]
    output = next(one for one in run.flags if "--output" in one.names)
    env = next(one for one in run.flags if "--env" in one.names)
    url = next(one for one in run.flags if "--api-url" in one.names)
    host = next(one for one in run.flags if "--host" in one.names)

    assert run.usage == "ravi-launch [run] [OPTIONS] [-- COMMAND...]"
    assert (output.names, output.default, output.choices) == (
        ("--output", "-o"),
        "table",
        ("table", "json", "jsonl"),
    )
    assert (env.type, env.metavar, env.is_repeatable) == (
        "list of strings",
        "KEY[=VALUE]",
        True,
    )
    assert (url.variable, host.engine, host.group) == ("RAVI_API_URL", "docker", "Engine")


def test_arguments_show_whether_they_are_required_and_repeatable() -> None:
    usages = {one.name: one.usage for one in describe_commands()}

    assert usages["logs"] == "ravi-launch logs [OPTIONS] RUN [TASK]..."
    assert usages["ps"] == "ravi-launch ps [OPTIONS] [RUN]"
    assert usages["completion"] == "ravi-launch completion [OPTIONS] SHELL"
