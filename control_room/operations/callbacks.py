"""Endpoints and deliveries: who is told, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from control_room.model import Delivery, Endpoint, EndpointSecret, Event, JsonObject, Network, Page
from control_room.operation import Operation, Request, exchange, fetch, fetch_json, query


def create_endpoint(
    url: str, events: Sequence[str] | None = None, description: str | None = None, **options: object
) -> Operation[Endpoint]:
    """Admins. With empty `events` only runs that name the URL speak to it. One URL is one endpoint.

    Options: max_concurrency, ordered, merge_progress, ed25519.
    """
    body: JsonObject = {"url": url, **options}
    if events is not None:
        body["events"] = list(events)
    if description is not None:
        body["description"] = description
    return (yield from fetch(Endpoint, Request("POST", "/endpoints", body=body, repeatable=True)))


def update_endpoint(endpoint_id: str, **changes: object) -> Operation[Endpoint]:
    """Admins. events, description, max_concurrency, ordered, merge_progress, ed25519, enabled."""
    return (
        yield from fetch(
            Endpoint, Request("PATCH", f"/endpoints/{endpoint_id}", body=changes, repeatable=True)
        )
    )


def rotate(endpoint_id: str, revoke: bool = False) -> Operation[int]:
    """Admins. A new signing secret, whose version is answered; the old one signs as well for a day, unless
    it is revoked."""
    request = Request("POST", f"/endpoints/{endpoint_id}/rotate", body={"revoke": revoke})
    return int((yield from fetch_json(request))["secret_version"])


def list_endpoints(limit: int | None = None, cursor: str | None = None) -> Operation[Page[Endpoint]]:
    asked = query(limit=limit, cursor=cursor)
    return (yield from fetch(Page[Endpoint], Request("GET", "/endpoints", query=asked, repeatable=True)))


def secret(endpoint_id: str) -> Operation[EndpointSecret]:
    """The signing secret `whsec_…`. Admins; audited."""
    return (
        yield from fetch(EndpointSecret, Request("GET", f"/endpoints/{endpoint_id}/secret", repeatable=True))
    )


def delete_endpoint(endpoint_id: str) -> Operation[None]:
    yield from exchange(Request("DELETE", f"/endpoints/{endpoint_id}"))


def allow_network(cidr: str, ports: Sequence[int] | None = None) -> Operation[Network]:
    """Admins, within the platform's bounds. Said again, the ports are those of the last word.

    Raises ApiError NETWORK_OUT_OF_BOUNDS.
    """
    body: JsonObject = {"cidr": cidr} if ports is None else {"cidr": cidr, "ports": list(ports)}
    return (yield from fetch(Network, Request("POST", "/callback-networks", body=body, repeatable=True)))


def list_networks(limit: int | None = None, cursor: str | int | None = None) -> Operation[Page[Network]]:
    asked = query(limit=limit, cursor=cursor)
    return (
        yield from fetch(Page[Network], Request("GET", "/callback-networks", query=asked, repeatable=True))
    )


def disallow_network(network_id: int) -> Operation[None]:
    yield from exchange(Request("DELETE", f"/callback-networks/{network_id}"))


def list_deliveries(
    run_id: int | None = None,
    state: str | None = None,
    endpoint_id: str | None = None,
    limit: int | None = None,
    cursor: str | int | None = None,
) -> Operation[Page[Delivery]]:
    asked = query(run_id=run_id, state=state, endpoint_id=endpoint_id, limit=limit, cursor=cursor)
    return (yield from fetch(Page[Delivery], Request("GET", "/deliveries", query=asked, repeatable=True)))


def redeliver(delivery_id: int) -> Operation[JsonObject]:
    """Sends one that has ended again, under the same event id."""
    answer: JsonObject = yield from fetch_json(
        Request("POST", f"/deliveries/{delivery_id}/redeliver", body={})
    )
    return answer


def replay(
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    endpoint_id: str | None = None,
    missing: bool = False,
) -> Operation[int]:
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
        answer = yield from fetch_json(Request("POST", "/deliveries/replay", body=body))
        count += int(answer["replayed"])
        if not answer.get("more"):
            return count


def list_events(after: str | None = None, limit: int | None = None) -> Operation[Page[Event]]:
    """The tenant's events in the order of commit; `next` of the answer is `after` of the next call."""
    asked = query(after=after, limit=limit)
    return (yield from fetch(Page[Event], Request("GET", "/events", query=asked, repeatable=True)))
