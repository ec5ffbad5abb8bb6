"""What admins keep, by the Python client against the real doors: members, invitations, trusts, access tokens, networks."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from control_room import ApiError, Client

if TYPE_CHECKING:
    from tests.acceptance.doors.conftest import Doors


def client(doors: Doors, bearer: str) -> Client:
    return Client(doors.supabase, doors.environment["SUPABASE_ANON_KEY"], bearer)


def test_who_is_invited_comes_in_is_lowered_and_goes(doors: Doors) -> None:
    who = str(uuid.uuid4())
    with (
        client(doors, doors.token("admin")) as admin,
        client(doors, doors.token(sub=who, user_id=None, role="authenticated", tenant_id=None)) as person,
    ):
        made = admin.invitations.create("operator", user_id=who, expires_in_hours=1)
        assert made.token is not None
        member = person.invitations.accept(made.token)
        kept = {it.invitation_id: it for it in admin.invitations.list(limit=1000).items}
        lowered = admin.members.set_role(who, "viewer")
        members = {it.user_id: it.role for it in admin.members.list(limit=1000).items}
        admin.members.remove(who)
        with pytest.raises(ApiError) as gone:
            admin.members.remove(who)

    assert (member.user_id, member.role, member.tenant_id) == (who, "operator", doors.tenants["acme"])
    assert (kept[made.invitation_id].accepted_by, kept[made.invitation_id].token) == (who, None)
    assert (lowered.role, members[who]) == ("viewer", "viewer")
    assert gone.value.code == "MEMBER_NOT_FOUND"


def test_a_token_a_trust_and_a_network_are_made_listed_and_taken_away(doors: Doors) -> None:
    cidr = doors.some_network()
    with client(doors, doors.token("admin")) as admin:
        token = admin.tokens.create("nightly", role="viewer", expires_at="2999-01-01T00:00:00Z")
        trust = admin.trusts.create("ci", repository="Acme/etl", role="viewer", ref="refs/heads/main")
        network = admin.networks.allow(cidr, ports=[8443, 8080])
        again = admin.networks.allow(cidr, ports=[8080])
        assert token.token is not None
        with client(doors, token.token) as machine:
            assert machine.runs.list(limit=1).items is not None
            with pytest.raises(ApiError) as refused:
                machine.tokens.create("another")

        def listed() -> tuple[bool, bool, list[list[int] | None]]:
            return (
                any(
                    it.token_id == token.token_id and not it.revoked_at
                    for it in admin.tokens.list(limit=1000).items
                ),
                any(it.trust_id == trust.trust_id for it in admin.trusts.list(limit=1000).items),
                [it.ports for it in admin.networks.list(limit=1000).items if it.cidr == cidr],
            )

        there = listed()
        admin.tokens.revoke(token.token_id)
        admin.trusts.delete(trust.trust_id)
        admin.networks.close(again.network_id)
        after = listed()

    assert (trust.repository, network.ports) == ("acme/etl", [8080, 8443])
    assert refused.value.code == "ROLE_INSUFFICIENT"
    assert there == (True, True, [[8080]])
    assert after == (False, False, [])
