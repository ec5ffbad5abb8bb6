"""Members, invitations, trusts and access tokens on the screen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from control_room.model import AccessToken, Identity, Invitation, Member, Trust
from control_room.view import theme


def whoami(it: Identity) -> RenderableType:
    until = f"until {theme.when(it.expires_at)}" if it.expires_at else "an access token"
    return Text.assemble(
        (it.user_id, "name"), f"  {it.role or 'no member'}  ", (f"tenant {it.tenant_id}  {until}", "quiet")
    )


def members(found: Sequence[Member]) -> RenderableType:
    if not found:
        return Text("no members", style="quiet")
    table = theme.table("member", "role", "since")
    for it in found:
        table.add_row(Text(it.user_id, style="name"), it.role, Text(theme.when(it.created_at), style="quiet"))
    return table


def invitations(found: Sequence[Invitation]) -> RenderableType:
    if not found:
        return Text("no invitations", style="quiet")
    table = _by_id("invitation", "for", "role", "")
    for it in found:
        table.add_row(
            Text(it.invitation_id, style="quiet"), it.email or it.user_id or "", it.role, _became(it)
        )
    return table


def _became(it: Invitation) -> Text:
    if it.accepted_at is not None:
        return Text(f"accepted {theme.when(it.accepted_at)}", style="good")
    return _ends(it.revoked_at, it.expires_at, "open")


def trusts(found: Sequence[Trust]) -> RenderableType:
    if not found:
        return Text("no trusts", style="quiet")
    table = _by_id("trust", "name", "repository", "where", "role", "used")
    for it in found:
        where = [
            it.ref,
            it.environment and f"environment {it.environment}",
            it.pull_requests and "pull requests",
        ]
        table.add_row(
            Text(it.trust_id, style="quiet"),
            Text(it.name, style="name"),
            it.repository,
            ", ".join(word for word in where if word),
            it.role,
            Text(theme.when(it.last_used_at) or "never", style="quiet"),
        )
    return table


def tokens(found: Sequence[AccessToken]) -> RenderableType:
    if not found:
        return Text("no access tokens", style="quiet")
    table = _by_id("token", "name", "role", "used", "", "of")
    for it in found:
        table.add_row(
            Text(it.token_id, style="quiet"),
            Text(it.name, style="name"),
            it.role,
            Text(theme.when(it.last_used_at) or "never", style="quiet"),
            _ends(it.revoked_at, it.expires_at, "good"),
            Text(it.user_id or "", style="quiet"),
        )
    return table


def _by_id(*columns: str) -> Table:
    """The id in one piece: it is what the next command wants."""
    table = theme.table(*columns)
    table.columns[0].no_wrap = True
    return table


def _ends(revoked_at: datetime | None, expires_at: datetime | None, while_it_stands: str) -> Text:
    if revoked_at is not None:
        return Text(f"revoked {theme.when(revoked_at)}", style="quiet")
    if expires_at is None:
        return Text(f"{while_it_stands}, without end", style="warn")
    if expires_at <= datetime.now(UTC):
        return Text(f"expired {theme.when(expires_at)}", style="quiet")
    return Text(f"{while_it_stands} until {theme.when(expires_at)}")
