"""The one that speaks to the API server, by the official client. Answers are plain JSON: what a newer or
older server adds to or leaves out of an object is no error here.

    Away       it cannot be reached, or is not itself just now: the same call may be made again
    Refused    it said no, with its HTTP status
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio import client, config

JsonObject = dict[str, Any]

CALL_SECONDS = 20.0
STREAM_SECONDS = 1800.0
#: A watch or a log that says nothing for so long may be half a connection: it is opened anew.
SILENCE_SECONDS = 75.0
WATCH_SECONDS = 300
_PASSING = frozenset({408, 429, 500, 502, 503, 504})
_MERGE = "application/merge-patch+json"
#: The usual place of a pod's own credentials.
_IN_CLUSTER = Path("/var/run/secrets/kubernetes.io/serviceaccount/token").exists()


class Away(Exception):
    """The API server cannot be reached."""


class Refused(Exception):
    """The API server answered with an error. `reason` is its own word, e.g. AlreadyExists."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class Gone(Exception):
    """The watch cannot go on from where it was: list again."""


class Cluster:
    """One connection pool to one API server."""

    def __init__(self, configuration: client.Configuration) -> None:
        configuration.connection_pool_maxsize = 0  # two for each attempt: its pod and its log
        self._api = client.ApiClient(configuration)
        self._batch = client.BatchV1Api(self._api)
        self._core = client.CoreV1Api(self._api)
        self._access = client.AuthorizationV1Api(self._api)

    @staticmethod
    async def connect(kubeconfig: str | None = None) -> Cluster:
        """The cluster of KUBECONFIG (or ~/.kube/config), else the one that this very process runs in. Raises
        Away with what is wrong."""
        configuration = client.Configuration()
        try:
            if kubeconfig is None and "KUBECONFIG" not in os.environ and _IN_CLUSTER:
                config.load_incluster_config(  # type: ignore[no-untyped-call]  # theirs
                    client_configuration=configuration
                )
            else:
                await config.load_kube_config(  # type: ignore[no-untyped-call]  # theirs
                    config_file=kubeconfig, client_configuration=configuration
                )
        except (config.ConfigException, OSError, ValueError) as error:
            raise Away(f"no cluster is configured (KUBECONFIG): {error}") from error
        return Cluster(configuration)

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()  # type: ignore[no-untyped-call]  # theirs

    async def lacking(self, namespace: str, verbs: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
        """Which of the (verb, resource) pairs we may not do there."""
        missing = []
        for verb, resource in verbs:
            what, _, part = resource.partition("/")
            attributes: JsonObject = {"namespace": namespace, "verb": verb, "resource": what}
            if what == "jobs":
                attributes["group"] = "batch"
            if part:
                attributes["subresource"] = part
            review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                      "spec": {"resourceAttributes": attributes}}  # fmt: skip
            answer = await self._json(
                self._access.create_self_subject_access_review_without_preload_content(
                    _form(client.V1SelfSubjectAccessReview, review), _request_timeout=CALL_SECONDS
                )
            )
            if not (answer.get("status") or {}).get("allowed"):
                missing.append(f"{verb} {resource}")
        return tuple(missing)

    async def create_job(self, namespace: str, job: JsonObject) -> JsonObject:
        """Create it. Raises Refused with reason AlreadyExists when there is one of its name."""
        return await self._json(
            self._batch.create_namespaced_job_without_preload_content(
                namespace, _form(client.V1Job, job), _request_timeout=CALL_SECONDS
            )
        )

    async def read_job(self, namespace: str, name: str) -> JsonObject | None:
        """The Job, None when there is none."""
        return await self._found(
            self._batch.read_namespaced_job_without_preload_content(
                name, namespace, _request_timeout=CALL_SECONDS
            )
        )

    async def annotate_job(self, namespace: str, name: str, annotations: dict[str, str]) -> None:
        """Set annotations of a Job."""
        await self._json(
            self._batch.patch_namespaced_job_without_preload_content(
                name,
                namespace,
                {"metadata": {"annotations": annotations}},
                _content_type=_MERGE,
                _request_timeout=CALL_SECONDS,
            )
        )

    async def delete_job(self, namespace: str, name: str, uid: str | None = None) -> None:
        """Delete a Job and, in the background, its pods. One that is gone, or is another by now, is no
        error."""
        options = {"propagationPolicy": "Background"} | ({"preconditions": {"uid": uid}} if uid else {})
        try:
            await self._json(
                self._batch.delete_namespaced_job_without_preload_content(
                    name,
                    namespace,
                    body=_form(client.V1DeleteOptions, options),
                    _request_timeout=CALL_SECONDS,
                )
            )
        except Refused as refused:
            if refused.status not in (404, 409):
                raise

    async def list_jobs(self, namespace: str, selector: str) -> list[JsonObject]:
        """Jobs by label."""
        answer = await self._json(
            self._batch.list_namespaced_job_without_preload_content(
                namespace, label_selector=selector, _request_timeout=CALL_SECONDS
            )
        )
        return list(answer.get("items") or ())

    async def create_secret(self, namespace: str, secret: JsonObject) -> None:
        """Create it, or replace what one of its name holds."""
        try:
            await self._json(
                self._core.create_namespaced_secret_without_preload_content(
                    namespace, _form(client.V1Secret, secret), _request_timeout=CALL_SECONDS
                )
            )
        except Refused as refused:
            if refused.reason != "AlreadyExists":
                raise
            owners = {"ownerReferences": secret["metadata"]["ownerReferences"]}
            await self.patch_secret(
                namespace, secret["metadata"]["name"], {"metadata": owners, "data": secret["data"]}
            )

    async def patch_secret(self, namespace: str, name: str, patch: JsonObject) -> None:
        """Merge something into a Secret."""
        await self._json(
            self._core.patch_namespaced_secret_without_preload_content(
                name, namespace, patch, _content_type=_MERGE, _request_timeout=CALL_SECONDS
            )
        )

    async def list_pods(self, namespace: str, selector: str) -> tuple[list[JsonObject], str]:
        """Pods by label, and the version from which a watch goes on."""
        answer = await self._json(
            self._core.list_namespaced_pod_without_preload_content(
                namespace, label_selector=selector, _request_timeout=CALL_SECONDS
            )
        )
        return list(answer.get("items") or ()), str((answer.get("metadata") or {}).get("resourceVersion", ""))

    async def list_events(self, namespace: str, name: str) -> list[JsonObject]:
        """Events about one object, oldest first."""
        answer = await self._json(
            self._core.list_namespaced_event_without_preload_content(
                namespace, field_selector=f"involvedObject.name={name}", _request_timeout=CALL_SECONDS
            )
        )
        return sorted(
            answer.get("items") or (),
            key=lambda each: each.get("lastTimestamp") or each.get("eventTime") or "",
        )

    async def watch_pods(
        self, namespace: str, selector: str, version: str
    ) -> AsyncIterator[tuple[str, JsonObject]]:
        """(type, pod) of each change since `version`, until the server ends it. Raises Gone, Away."""
        response = await self._open(
            self._core.list_namespaced_pod_without_preload_content(
                namespace,
                label_selector=selector,
                resource_version=version,
                watch=True,
                allow_watch_bookmarks=True,
                timeout_seconds=WATCH_SECONDS,
                _request_timeout=STREAM_SECONDS,
            )
        )
        async for line in _lines(response):
            event = json.loads(line)
            if event["type"] == "ERROR":
                if event["object"].get("code") == 410:
                    raise Gone
                raise _refusal(int(event["object"].get("code") or 500), event["object"])
            yield event["type"], event["object"]

    async def follow_log(
        self, namespace: str, pod: str, container: str, since_seconds: int | None
    ) -> AsyncIterator[bytes]:
        """Lines of a container, each with its time in front, until it has ended or the connection has. Raises
        Away, Refused."""
        response = await self._open(
            self._core.read_namespaced_pod_log_without_preload_content(
                pod,
                namespace,
                container=container,
                follow=True,
                timestamps=True,
                since_seconds=since_seconds,
                _request_timeout=STREAM_SECONDS,
            )
        )
        async for line in _lines(response):
            yield line

    async def _found(self, call: Awaitable[Any]) -> JsonObject | None:
        try:
            return await self._json(call)
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    async def _json(self, call: Awaitable[Any]) -> JsonObject:
        response = await self._open(call)
        try:
            answer: JsonObject = await response.json(content_type=None)
            return answer
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Away(f"{type(error).__name__}: {error}") from error

    async def _open(self, call: Awaitable[Any]) -> aiohttp.ClientResponse:
        try:
            answer = await call
            response: aiohttp.ClientResponse = getattr(answer, "response", answer)
            if response.status < 400:
                return response
            said = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Away(f"{type(error).__name__}: {error}") from error
        except client.ApiException as error:
            raise _refusal(int(error.status or 500), {"message": str(error.reason)}) from error
        try:
            body = json.loads(said)
        except ValueError:
            body = {}
        raise _refusal(response.status, body if isinstance(body, dict) else {})


def _form(kind: Any, body: JsonObject) -> Any:
    """A body as the client wants it; it refuses fields that it does not know."""
    return kind.from_dict(body)


def _refusal(status: int, body: JsonObject) -> Away | Refused:
    reason, message = str(body.get("reason") or ""), str(body.get("message") or "")
    if status in _PASSING:
        return Away(f"{status} {reason}: {message}")
    return Refused(status, reason, message)


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Whole lines as they come. A break of the connection raises Away; its last, broken line is dropped."""
    rest = b""
    try:
        while True:
            async with asyncio.timeout(SILENCE_SECONDS):
                piece = await response.content.readany()
            if not piece:
                break
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                yield line
        if rest:
            yield rest
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise Away(f"{type(error).__name__}: {error}") from error
    finally:
        response.close()
