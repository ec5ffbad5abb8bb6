"""The command line of `scripts/stack`."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import cast, get_args

import psycopg

from dev.stack import lifecycle, npm, services, state, tenants, tokens
from dev.stack.errors import StackError
from dev.stack.lifecycle import Wanted
from dev.stack.state import CLONE, SERVICES, SERVICES_WITH_PORT, Layout, Service, home


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    # what root makes must be readable by the database's and the sandbox's users, whatever root's umask is
    os.umask(0o022)
    try:
        place = state.layout(arguments.name)
        return int(arguments.run(place, arguments))
    except StackError as error:
        if error.evidence:
            print(error.evidence, file=sys.stderr)
        print(f"error: {error}", file=sys.stderr)
    except PermissionError as error:
        mend = "run as the user who started the stack, or set CONTROL_ROOM_STACK_DIR"
        print(f"error: {error.filename} belongs to somebody else; {mend}", file=sys.stderr)
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[-1]
        print(f"error: the database does not answer ({reason}); run scripts/stack up", file=sys.stderr)
    except KeyboardInterrupt:
        print("error: interrupted; scripts/stack up goes on, scripts/stack down ends it", file=sys.stderr)
        return 130
    return 1


def _up(place: Layout, arguments: argparse.Namespace) -> int:
    if arguments.supabase:
        return _up_supabase()
    _tell_of_former(place)
    lifecycle.up(place, _wanted(arguments), print)
    gateway = lifecycle.status(place)["gateway"]
    if gateway.state == "running":
        print(f"url        http://127.0.0.1:{gateway.port}")
    name = f" --name {arguments.name}" if arguments.name else ""
    print(f'next       eval "$(scripts/stack env{name})"')
    return 0


def _tell_of_former(place: Layout) -> None:
    """Says once, when a stack is made, that the clone which was in this folder before has left its own."""
    former = state.former()
    if place.state_file.exists() or place.name != f"{former.name}-{state.clone_id()}":
        return
    print(f"stack      makes its own: {former.root} is of a clone that was in this")
    print(f"           folder before, and is left alone (scripts/stack status --name {former.name})")


def _up_supabase() -> int:
    """The full stack of Supabase's own CLI, for whoever has Docker."""
    fetched = home() / "supabase" / npm.SUPABASE / "supabase"
    supabase = shutil.which("supabase") or (str(fetched) if fetched.exists() else None)
    if supabase is None:
        raise StackError("the Supabase CLI is not installed", "run scripts/setup --supabase-cli")
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "info"], capture_output=True, check=False).returncode != 0:
        raise StackError(
            "supabase start needs Docker, and no Docker daemon answers",
            "start Docker, or leave --supabase out: the embedded stack needs none",
        )
    return subprocess.run([supabase, "start", "--workdir", str(CLONE)], check=False).returncode


def _down(place: Layout, arguments: argparse.Namespace) -> int:
    lifecycle.down(place, _services(arguments), print)
    return 0


def _reset(place: Layout, arguments: argparse.Namespace) -> int:
    lifecycle.reset(place, _wanted(arguments), print)
    return 0


def _status(place: Layout, arguments: argparse.Namespace) -> int:
    found = lifecycle.status(place)
    if arguments.json:
        shown = {service: asdict(it) for service, it in found.items()}
        print(json.dumps({"name": place.name, "root": str(place.root), "services": shown}, indent=2))
        return 0
    print(f"{'service':<11}{'state':<14}{'pid':>8}  {'port':>6}")
    for service, it in found.items():
        print(f"{service:<11}{it.state:<14}{it.pid or '-':>8}  {it.port or '-':>6}")
    if any(it.state in {"dead", "unresponsive"} for it in found.values()):
        print("\nscripts/stack up starts what is missing")
    return 0


def _logs(place: Layout, arguments: argparse.Namespace) -> int:
    wanted = [arguments.service] if arguments.service else SERVICES
    files = [str(place.log(service)) for service in wanted if place.log(service).exists()]
    if not files:
        raise StackError(f"there are no logs in {place.logs}", "run scripts/stack up")
    tail = ["tail", "-n", str(arguments.lines), *(["-F"] if arguments.follow else []), "--", *files]
    if arguments.follow:
        os.execvp("tail", tail)  # noqa: S606  no shell is wanted: tail takes over this process
    return subprocess.run(tail, check=False).returncode


def _env(place: Layout, arguments: argparse.Namespace) -> int:
    del arguments
    server = lifecycle.server(place)
    known = state.load(place)
    assert known is not None
    for name, value in services.public_environment(server, known.ports).items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _tenant(place: Layout, arguments: argparse.Namespace) -> int:
    tenant_id = tenants.create(lifecycle.server(place), arguments.slug, arguments.title or arguments.slug)
    print(json.dumps({"slug": arguments.slug, "tenant_id": tenant_id}))
    return 0


def _platform(place: Layout, arguments: argparse.Namespace) -> int:
    try:
        argument = json.loads(arguments.argument)
    except ValueError as error:
        raise StackError(
            f"this is no JSON: {error}", 'quote it for the shell: \'{"tenant": "acme"}\''
        ) from error
    answer = tenants.call(lifecycle.server(place), f"platform_{arguments.verb}", argument)
    print(json.dumps(answer))
    return 0


def _token(place: Layout, arguments: argparse.Namespace) -> int:
    server = lifecycle.server(place)
    tenant_id = tenants.tenant_id(server, arguments.tenant)
    user_id = arguments.user or tokens.default_user(arguments.tenant, arguments.role)
    tenants.add_member(server, arguments.tenant, user_id, arguments.role)
    print(
        tokens.member_token(
            server.secrets,
            tenant_id=tenant_id,
            user_id=user_id,
            role=arguments.role,
            ttl=arguments.ttl,
            shape=arguments.shape,
        )
    )
    return 0


def _person(place: Layout, arguments: argparse.Namespace) -> int:
    print(tokens.signed_in(lifecycle.server(place).secrets, arguments.email, ttl=arguments.ttl))
    return 0


def _wanted(arguments: argparse.Namespace) -> Wanted:
    return Wanted(services=_services(arguments), postgres_major=arguments.postgres, ports=_ports(arguments))


def _services(arguments: argparse.Namespace) -> set[Service]:
    named = {name.strip() for name in arguments.services.split(",")} if arguments.services else set(SERVICES)
    if unknown := named - set(SERVICES):
        names = ", ".join(sorted(unknown))
        raise StackError(f"there is no service {names}", f"choose from {', '.join(SERVICES)}")
    if getattr(arguments, "no_runner", False):
        named.discard("runner")
    return cast("set[Service]", named)


def _ports(arguments: argparse.Namespace) -> dict[Service, int]:
    """Ports by flag, else by environment."""
    chosen: dict[Service, int] = {}
    for service in SERVICES_WITH_PORT:
        variable = f"CONTROL_ROOM_PORT_{service.upper()}"
        given = getattr(arguments, f"port_{service}") or os.environ.get(variable)
        if given is None:
            continue
        if not str(given).isdecimal() or not 1024 <= int(given) <= 65535:
            raise StackError(f"{given!r} is no port for {service}", "use a number from 1024 to 65535")
        chosen[service] = int(given)
    if len(set(chosen.values())) < len(chosen):
        raise StackError("two services were given the same port", "give each its own")
    return chosen


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/stack",
        description="The local stack: Postgres, gateway, edge functions, runner. No Docker.",
    )
    parser.set_defaults(name=None)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    named = argparse.ArgumentParser(add_help=False)
    named.add_argument("--name", help="another stack beside this clone's own")

    chosen = argparse.ArgumentParser(add_help=False)
    chosen.add_argument("--services", metavar="A,B", help=f"only these of {','.join(SERVICES)}")

    shaped = argparse.ArgumentParser(add_help=False)
    shaped.add_argument(
        "--postgres", type=int, choices=(15, 17), help="major of a new cluster; or CONTROL_ROOM_POSTGRES; 15"
    )
    for service in SERVICES_WITH_PORT:
        shaped.add_argument(
            f"--port-{service}", metavar="PORT", help=f"or CONTROL_ROOM_PORT_{service.upper()}; remembered"
        )

    up = commands.add_parser("up", parents=[named, chosen, shaped], help="start what is missing")
    up.add_argument("--no-runner", action="store_true", help="leave the runner out")
    up.add_argument("--supabase", action="store_true", help="`supabase start` instead (needs Docker)")
    up.set_defaults(run=_up)

    down = commands.add_parser("down", parents=[named, chosen], help="end every process; the data stays")
    down.set_defaults(run=_down)

    reset = commands.add_parser("reset", parents=[named, chosen, shaped], help="empty database and storage")
    reset.set_defaults(run=_reset)

    status = commands.add_parser("status", parents=[named], help="what runs where")
    status.add_argument("--json", action="store_true")
    status.set_defaults(run=_status)

    logs = commands.add_parser("logs", parents=[named], help="the ends of the logs")
    logs.add_argument("service", nargs="?", choices=SERVICES)
    logs.add_argument("-f", "--follow", action="store_true")
    logs.add_argument("-n", "--lines", type=int, default=40)
    logs.set_defaults(run=_logs)

    env = commands.add_parser("env", parents=[named], help='export lines: eval "$(scripts/stack env)"')
    env.set_defaults(run=_env)

    tenant = commands.add_parser("tenant", parents=[named], help="create a tenant, unless it is there")
    tenant.add_argument("slug", metavar="SLUG")
    tenant.add_argument("--title", help="its name for people")
    tenant.set_defaults(run=_tenant)

    platform = commands.add_parser(
        "platform", parents=[named], help="what the platform's operator does: docs/rpc.md, platform_…"
    )
    platform.add_argument("verb", metavar="VERB", help="grant, set_limits, add_member, …")
    platform.add_argument("argument", metavar="JSON")
    platform.set_defaults(run=_platform)

    token = commands.add_parser("token", parents=[named], help="a JWT of a member")
    token.add_argument("--tenant", required=True, metavar="SLUG")
    token.add_argument("--role", required=True, choices=get_args(tokens.Role))
    token.add_argument("--user", metavar="ID", help="default: one user per tenant and role")
    token.add_argument("--ttl", type=int, default=3600, metavar="SECONDS", help="3600; negative: expired")
    token.add_argument("--shape", choices=get_args(tokens.Shape), default="role", help="of the role claim")
    token.set_defaults(run=_token)

    person = commands.add_parser(
        "person", parents=[named], help="a JWT of somebody who signed in and is no member yet: to be invited"
    )
    person.add_argument("email", metavar="EMAIL")
    person.add_argument("--ttl", type=int, default=3600, metavar="SECONDS")
    person.set_defaults(run=_person)
    return parser
