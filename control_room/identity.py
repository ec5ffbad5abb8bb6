"""Who comes in, as the blocking client says it: members, invitations, trusts, access tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol, TypeVar

from control_room import model
from control_room.talk import Talk
from control_room.talks import members, tokens, trusts

T = TypeVar("T")


class Line(Protocol):
    def hold(self, talk: Talk[T]) -> T: ...


class Members:
    def __init__(self, line: Line) -> None:
        self._line = line

    def list(self, *, limit: int | None = None, cursor: str | None = None) -> model.Page[model.Member]:
        return self._line.hold(members.list_(limit, cursor))

    def set_role(self, user_id: str, role: str) -> model.Member:
        """Counts with the member's next request. Raises ApiError LAST_ADMIN."""
        return self._line.hold(members.set_role(user_id, role))

    def remove(self, user_id: str) -> None:
        """Out with the next request, tokens and open invitations as well. Raises ApiError LAST_ADMIN."""
        self._line.hold(members.remove(user_id))


class Invitations:
    def __init__(self, line: Line) -> None:
        self._line = line

    def create(
        self,
        role: str,
        *,
        email: str | None = None,
        user_id: str | None = None,
        expires_in_hours: int | None = None,
    ) -> model.Invitation:
        """One of `email` and `user_id`. `token` of the answer is said this once: it is for who is invited."""
        return self._line.hold(members.invite(role, email, user_id, expires_in_hours))

    def list(self, *, limit: int | None = None, cursor: str | None = None) -> model.Page[model.Invitation]:
        return self._line.hold(members.invitations(limit, cursor))

    def revoke(self, invitation_id: str) -> None:
        self._line.hold(members.revoke(invitation_id))

    def accept(self, token: str) -> model.Member:
        """For who is invited: the client's token is his own JWT, which need not name a tenant."""
        return self._line.hold(members.accept(token))


class Trusts:
    def __init__(self, line: Line) -> None:
        self._line = line

    def create(
        self,
        name: str,
        *,
        repository: str,
        role: str,
        ref: str | None = None,
        environment: str | None = None,
        repository_id: str | None = None,
        pull_requests: bool | None = None,
        token_seconds: int | None = None,
        issuer: str | None = None,
    ) -> model.Trust:
        """Lets workflows of `repository` (owner/name) in; `ref` or `environment` must be said."""
        return self._line.hold(
            trusts.create(
                name,
                repository,
                role,
                ref=ref,
                environment=environment,
                repository_id=repository_id,
                pull_requests=pull_requests,
                token_seconds=token_seconds,
                issuer=issuer,
            )
        )

    def list(self, *, limit: int | None = None, cursor: str | None = None) -> model.Page[model.Trust]:
        return self._line.hold(trusts.list_(limit, cursor))

    def delete(self, trust_id: str) -> None:
        """Every token that it gave is dead with the next request."""
        self._line.hold(trusts.delete(trust_id))


class Tokens:
    def __init__(self, line: Line) -> None:
        self._line = line

    def create(
        self, name: str, *, role: str | None = None, expires_at: datetime | str | None = None
    ) -> model.AccessToken:
        """`token` of the answer is said this once; a viewer's unless `role` says more."""
        return self._line.hold(tokens.create(name, role, expires_at))

    def list(self, *, limit: int | None = None, cursor: str | None = None) -> model.Page[model.AccessToken]:
        """One's own; admins see all. Never the token itself."""
        return self._line.hold(tokens.list_(limit, cursor))

    def revoke(self, token_id: str) -> None:
        """Dead with the next request, and the JWTs made of it."""
        self._line.hold(tokens.revoke(token_id))

    def of_workflow(self, tenant: str, audience: str, *, role: str | None = None) -> model.ShortToken:
        """GitHub's OIDC token of the workflow that this runs in, exchanged."""
        return self._line.hold(tokens.of_workflow(tenant, audience, role))
