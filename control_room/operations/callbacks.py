"""Endpoints and deliveries: who is told, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from control_room.model import Delivery, Endpoint, EndpointSecret, Event, JsonObject, Network, Page
from control_room.talk import Ask, Talk, ask_json, ask_word, exchange, query


def create_endpoint(
    url: str, events: Sequence[str] | None = None, description: str | None = None, **options: object
) -> Talk[Endpoint]:
    """Admins. With empty `events` only runs that name the URL speak to it. One URL is one endpoint.

    Options: max_concurrency, ordered, merge_progress, ed25519.
    """
    body: JsonObject = {"url": url, **options}
    if events is not None:
        body["events"] = list(events)
    if description is not None:
        body["description"] = description
    return (yield from ask_word(Endpoint, Ask("POST", "/endpoints", body=body, repeatable=True)))


def update_endpoint(endpoint_id: str, **changes: object) -> Talk[Endpoint]:
    """Admins. events, description, max_concurrency, ordered, merge_progress, ed25519, enabled."""
    return (
        yield from ask_word(
            Endpoint, Ask("PATCH", f"/endpoints/{endpoint_id}", body=changes, repeatable=True)
        )
    )


def rotate(endpoint_id: str, revoke: bool = False) -> Talk[int]:
    """Admins. A new signing secret, whose version is answered; the old one signs as well for a day, unless
    it is revoked."""
    ask = Ask("POST", f"/endpoints/{endpoint_id}/rotate", body={"revoke": revoke})
    return int((yield from ask_json(ask))["secret_version"])


def list_endpoints(limit: int | None = None, cursor: str | None = None) -> Talk[Page[Endpoint]]:
    asked = query(limit=limit, cursor=cursor)
    return (yield from ask_word(Page[Endpoint], Ask("GET", "/endpoints", query=asked, repeatable=True)))


def secret(endpoint_id: str) -> Talk[EndpointSecret]:
    """The signing secret `whsec_…`. Admins; audited."""
    return (
        yield from ask_word(EndpointSecret, Ask("GET", f"/endpoints/{endpoint_id}/secret", repeatable=True))
    )


def delete_endpoint(endpoint_id: str) -> Talk[None]:
    yield from exchange(Ask("DELETE", f"/endpoints/{endpoint_id}"))


def allow_network(cidr: str, ports: Sequence[int] | None = None) -> Talk[Network]:
    """Admins, within the platform's bounds. Said again, the ports are those of the last word.

    Raises ApiError NETWORK_OUT_OF_BOUNDS.
    """
    body: JsonObject = {"cidr": cidr} if ports is None else {"cidr": cidr, "ports": list(ports)}
    return (yield from ask_word(Network, Ask("POST", "/callback-networks", body=body, repeatable=True)))


def list_networks(limit: int | None = None, cursor: str | int | None = None) -> Talk[Page[Network]]:
    asked = query(limit=limit, cursor=cursor)
    return (
        yield from ask_word(Page[Network], Ask("GET", "/callback-networks", query=asked, repeatable=True))
    )


def disallow_network(network_id: int) -> Talk[None]:
    yield from exchange(Ask("DELETE", f"/callback-networks/{network_id}"))


def list_deliveries(
    run_id: int | None = None,
    state: str | None = None,
    endpoint_id: str | None = None,
    limit: int | None = None,
    cursor: str | int | None = None,
) -> Talk[Page[Delivery]]:
    asked = query(run_id=run_id, state=state, endpoint_id=endpoint_id, limit=limit, cursor=cursor)
    return (yield from ask_word(Page[Delivery], Ask("GET", "/deliveries", query=asked, repeatable=True)))


def redeliver(delivery_id: int) -> Talk[JsonObject]:
    """Sends one that has ended again, under the same event id."""
    answer: JsonObject = yield from ask_json(Ask("POST", f"/deliveries/{delivery_id}/redeliver", body={}))
    return answer


def replay(
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    endpoint_id: str | None = None,
    missing: bool = False,
) -> Talk[int]:
    """Sends the dead ones of a range again, or with `missing` all that did not arrive; says how many."""
    body: JsonObject = {
        **query(
            since=since.isoformat() if isinstance(since, datetime) else since,
            until=until.isoformat() if isinstance(until, datetime) else until,
            endpoint_id=endpoint_id,
        )
    }
    if missing:
        body["missing"] = True
    count = 0
    while True:
        answer = yield from ask_json(Ask("POST", "/deliveries/replay", body=body))
        count += int(answer["replayed"])
        if not answer.get("more"):
            return count


def list_events(after: str | None = None, limit: int | None = None) -> Talk[Page[Event]]:
    """The tenant's events in the order of commit; `next` of the answer is `after` of the next call."""
    asked = query(after=after, limit=limit)
    return (yield from ask_word(Page[Event], Ask("GET", "/events", query=asked, repeatable=True)))
