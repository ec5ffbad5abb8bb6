"""Who comes in, as the awaiting client says it: the words of control_room.identity."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol, TypeVar

from control_room import model
from control_room.operation import Operation
from control_room.operations import members, tokens, trusts

T = TypeVar("T")


class Transport(Protocol):
    async def perform(self, operation: Operation[T]) -> T: ...


class AsyncMembers:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(self, *, limit: int | None = None, cursor: str | None = None) -> model.Page[model.Member]:
        return await self._transport.perform(members.list_(limit, cursor))

    async def set_role(self, user_id: str, role: str) -> model.Member:
        """Counts with the member's next request. Raises ApiError LAST_ADMIN."""
        return await self._transport.perform(members.set_role(user_id, role))

    async def remove(self, user_id: str) -> None:
        """Out with the next request, tokens and open invitations as well. Raises ApiError LAST_ADMIN."""
        await self._transport.perform(members.remove(user_id))


class AsyncInvitations:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def create(
        self,
        role: str,
        *,
        email: str | None = None,
        user_id: str | None = None,
        expires_in_hours: int | None = None,
    ) -> model.Invitation:
        """One of `email` and `user_id`. `token` of the answer is said this once: it is for who is invited."""
        return await self._transport.perform(members.invite(role, email, user_id, expires_in_hours))

    async def list(
        self, *, limit: int | None = None, cursor: str | None = None
    ) -> model.Page[model.Invitation]:
        return await self._transport.perform(members.invitations(limit, cursor))

    async def revoke(self, invitation_id: str) -> None:
        await self._transport.perform(members.revoke(invitation_id))

    async def accept(self, token: str) -> model.Member:
        """For who is invited: the client's token is his own JWT, which need not name a tenant."""
        return await self._transport.perform(members.accept(token))


class AsyncTrusts:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def create(
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
        return await self._transport.perform(
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

    async def list(self, *, limit: int | None = None, cursor: str | None = None) -> model.Page[model.Trust]:
        return await self._transport.perform(trusts.list_(limit, cursor))

    async def delete(self, trust_id: str) -> None:
        """Every token that it gave is dead with the next request."""
        await self._transport.perform(trusts.delete(trust_id))


class AsyncTokens:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def create(
        self, name: str, *, role: str | None = None, expires_at: datetime | str | None = None
    ) -> model.AccessToken:
        """`token` of the answer is said this once; a viewer's unless `role` says more."""
        return await self._transport.perform(tokens.create(name, role, expires_at))

    async def list(
        self, *, limit: int | None = None, cursor: str | None = None
    ) -> model.Page[model.AccessToken]:
        """One's own; admins see all. Never the token itself."""
        return await self._transport.perform(tokens.list_(limit, cursor))

    async def revoke(self, token_id: str) -> None:
        """Dead with the next request, and the JWTs made of it."""
        await self._transport.perform(tokens.revoke(token_id))

    async def of_workflow(self, tenant: str, audience: str, *, role: str | None = None) -> model.ShortToken:
        """GitHub's OIDC token of the workflow that this runs in, exchanged."""
        return await self._transport.perform(tokens.of_workflow(tenant, audience, role))
