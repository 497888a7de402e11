"""The API server over kubernetes.aio, on plain dicts: typed models drop fields that they do not know."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import aiohttp
from kubernetes.aio.client import ApiClient

from pegbox import ports
from pegbox.adapters.kube.answers import Asked, error_of
from pegbox.adapters.kube.limits import TokenBucket
from pegbox.model.errors import InvalidInput, NotAvailable, PegboxError, Refused
from pegbox.ports import Clock, Kind, Object, Ref

APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
JSON = "application/json"
TIMEOUT_SECONDS = 10.0
EVICT_TIMEOUT_SECONDS = 20.0
"""Before it answers that a pod has another uid, the server tries for 10 s (20 times every half second)."""
AGAIN_SECONDS = 0.25
"""After which a read is tried once more whose answer was lost on its way, or was a server's hiccup."""
SCALE_REMEDY = "use json_patch on /scale, with tests of uid and the value: an apply conflicts with before-first-apply"
MAX_BODY_BYTES = 3 * 1024 * 1024
"""The API server reads no more of a request. What it stores is for it to say: a ConfigMap holds a MiB of text, and here
each quote, line's end or umlaut of it takes two to six bytes. aiohttp warns of bodies over a MiB, as they hold its loop
up for some milliseconds."""
MAX_ANSWER_BYTES = 8 * 1024 * 1024
"""Of one answer: etcd keeps objects of up to 1.5 MiB, and a page of 500 pods has some 5 MiB. A larger page is asked for
in smaller ones."""
MAX_LIST_BYTES = 64 * 1024 * 1024
"""Of one list in one namespace: who may make pods, ReplicaSets or HPAs there may make many, and large ones."""
OURS = "pegbox.dev/"
"""Profiles and ledgers are listed for everybody at once: a list that ended early would stop them all."""
_MAX_PAGES = 1000
_KINDS = {(k.api_version, k.kind): k for k in vars(ports).values() if isinstance(k, Kind)}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Request:
    asked: Asked
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    content_type: str = JSON
    timeout: float = TIMEOUT_SECONDS


class _TooLarge(NotAvailable):
    """The answer is longer than is read."""


class _Hiccup(NotAvailable):
    """It failed at once, and for no reason that lies in the request."""


class KubeCluster:
    """Implements ports.Cluster. One per process and rate limit; close it when done."""

    def __init__(
        self,
        client: ApiClient,
        clock: Clock,
        *,
        manager: str = ports.FIELD_MANAGER,
        limit: TokenBucket | None = None,
        kinds: Iterable[Kind] = (),
    ) -> None:
        """`kinds` adds resource types that the ports do not name."""
        self._client = client
        self._clock = clock
        self._manager = manager
        self._limit = limit if limit is not None else TokenBucket(clock)
        self._kinds = _KINDS | {(k.api_version, k.kind): k for k in kinds}

    async def close(self) -> None:
        await self._client.close()  # type: ignore[no-untyped-call]

    async def get(self, ref: Ref) -> Object:
        return await self._send(_Request(_asked("get", ref), "GET", path_of(ref.kind, ref.namespace, ref.name)))

    async def list(self, kind: Kind, namespace: str = "", *, labels: str = "", limit: int = 500) -> list[Object]:
        """All pages. Items carry apiVersion and kind, which servers leave out of lists of built-in types.

        Of kinds of others at most MAX_LIST_BYTES in a namespace: what its users make large or many costs nobody else.
        """
        asked = _asked("list", Ref(kind, namespace, ""))
        found: list[Object] = []
        token, size = "", 0
        for _ in range(_MAX_PAGES):
            query = {"limit": str(limit)} | ({"labelSelector": labels} if labels else {})
            if token:
                query["continue"] = token
            try:
                page, length = await self._sized(_Request(asked, "GET", path_of(kind, namespace), query))
            except _TooLarge:
                if limit == 1:
                    raise
                limit = max(1, limit // 4)  # the same page in smaller ones
                continue
            except Refused as error:
                if error.status != 410 or not token:
                    raise
                found, token, size = [], "", 0  # the list outlived the server's history: from the start
                continue
            head = {"apiVersion": kind.api_version, "kind": kind.kind}
            size += length
            if namespace and not kind.api_version.startswith(OURS) and size > MAX_LIST_BYTES:
                remedy = "delete what is there beside the target's own, or make it smaller"
                raise NotAvailable(f"{asked.what}: more than {MAX_LIST_BYTES >> 20} MiB: {remedy}")
            found += [head | item for item in page.get("items") or ()]
            token = (page.get("metadata") or {}).get("continue", "")
            if not token:
                return found
        raise NotAvailable(f"{asked.what}: more than {_MAX_PAGES} pages of {limit}")

    async def apply(self, body: Object, *, force: bool = False, subresource: str = "") -> Object:
        """`subresource` is "" or "status". Raises InvalidInput for `scale`: the server wants patches there."""
        ref = self._ref(body)
        if subresource == "scale":
            raise InvalidInput("subresource", subresource, SCALE_REMEDY)
        query = self._writing() | {"force": "true" if force else "false"}
        path = path_of(ref.kind, ref.namespace, ref.name, subresource)
        return await self._send(_Request(_asked("apply", ref, subresource), "PATCH", path, query, body, APPLY))

    async def create(self, body: Object) -> Object:
        ref = self._ref(body)
        path = path_of(ref.kind, ref.namespace)
        return await self._send(_Request(_asked("create", ref), "POST", path, self._writing(), body))

    async def json_patch(self, ref: Ref, operations: Sequence[Object], *, subresource: str = "") -> Object:
        path = path_of(ref.kind, ref.namespace, ref.name, subresource)
        request = _Request(
            _asked("json_patch", ref, subresource),
            "PATCH",
            path,
            self._writing(),
            list(operations),
            JSON_PATCH,
        )
        return await self._send(request)

    async def delete(self, ref: Ref, *, uid: str = "", version: str = "") -> None:
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        stated = {"uid": uid, "resourceVersion": version}
        body["preconditions"] = {name: value for name, value in stated.items() if value}
        path = path_of(ref.kind, ref.namespace, ref.name)
        await self._send(_Request(_asked("delete", ref), "DELETE", path, body=body))

    async def evict(self, pod: Ref, *, uid: str) -> None:
        body: Object = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod.name, "namespace": pod.namespace},
            "deleteOptions": {"preconditions": {"uid": uid}} if uid else {},
        }
        path = path_of(pod.kind, pod.namespace, pod.name, "eviction")
        await self._send(_Request(_asked("evict", pod), "POST", path, body=body, timeout=EVICT_TIMEOUT_SECONDS))

    async def allowed(
        self, verb: str, group: str, resource: str, *, namespace: str = "", subresource: str = ""
    ) -> bool:
        attributes = {"verb": verb, "group": group, "resource": resource}
        attributes |= {"namespace": namespace, "subresource": subresource}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        asked = Asked(f"ask whether {verb} {resource} is allowed", "selfsubjectaccessreviews", "allowed")
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = await self._send(_Request(asked, "POST", path, body=body))
        return (answer.get("status") or {}).get("allowed") is True

    def _writing(self) -> dict[str, str]:
        return {"fieldManager": self._manager, "fieldValidation": "Strict"}

    def _ref(self, body: Object) -> Ref:
        key = (str(body.get("apiVersion", "")), str(body.get("kind", "")))
        kind = self._kinds.get(key)
        if kind is None:
            raise InvalidInput("kind", " ".join(key), "give KubeCluster this resource type in `kinds`")
        metadata = body.get("metadata") or {}
        for name in ("name", "namespace") if kind.namespaced else ("name",):
            if not metadata.get(name):
                raise InvalidInput(f"metadata.{name}", metadata.get(name, ""), f"every {kind.kind} needs one")
        return Ref(kind, metadata["namespace"] if kind.namespaced else "", metadata["name"])

    async def _send(self, request: _Request) -> Object:
        body, _ = await self._sized(request)
        return body

    async def _sized(self, request: _Request) -> tuple[Object, int]:
        """The answer, and its bytes."""
        if request.body is not None and len(json.dumps(request.body)) > MAX_BODY_BYTES:
            raise Refused(f"{request.asked.what}: the body is over {MAX_BODY_BYTES} bytes", status=413)
        try:
            return await self._once(request)
        except _Hiccup:
            # A look reads about ten objects: one answer that is lost must not cost all the others. Writes are tried
            # again by the next look, which reads first what the lost one did; who asks us to wait (429) is heard.
            if request.method != "GET":
                raise
        await self._clock.sleep(AGAIN_SECONDS)
        return await self._once(request)

    async def _once(self, request: _Request) -> tuple[Object, int]:
        await self._limit.take()
        try:
            async with asyncio.timeout(request.timeout):
                status, raw = await self._exchange(request)
        except TimeoutError as error:
            message = f"{request.asked.what}: no answer within {request.timeout:g} s"
            raise NotAvailable(message) from error
        except (aiohttp.ClientError, OSError) as error:
            text = f"{request.asked.what}: {type(error).__name__}: {error}"
            raise _Hiccup(text) from error.with_traceback(None)  # aiohttp's connection keeps it, and so all its frames
        return _body(request.asked, status, raw), len(raw)

    async def _exchange(self, request: _Request) -> tuple[int, bytes]:
        """Status and body of one exchange; kubernetes.aio adds the credentials."""
        serialized = await self._client.param_serialize(
            request.method,
            request.path,
            query_params=list(request.query.items()),
            header_params={"Accept": JSON, "Content-Type": request.content_type},
            body=request.body,
            auth_settings=["BearerToken"],
        )
        timeout = aiohttp.ClientTimeout(total=request.timeout)
        response = await self._client.call_api(*serialized, _request_timeout=timeout)
        raw = bytearray()
        async for chunk in response.response.content.iter_chunked(64 * 1024):
            raw += chunk
            if len(raw) > MAX_ANSWER_BYTES:
                response.response.close()  # the rest is not read, also not to use the connection again
                raise _TooLarge(f"{request.asked.what}: the answer is over {MAX_ANSWER_BYTES >> 20} MiB")
        return response.status, bytes(raw)


def _body(asked: Asked, status: int, raw: bytes) -> Object:
    text = raw.decode("utf-8", errors="replace")
    if status >= 400:
        raise _refusal(asked, status, text)
    try:
        body: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotAvailable(f"{asked.what}: the answer (status {status}) is no JSON") from error
    if status >= 300 or not isinstance(body, dict):
        raise NotAvailable(f"{asked.what}: the answer (status {status}) is no object")
    return body


def _refusal(asked: Asked, status: int, text: str) -> PegboxError:
    """Made here, and raised by who asks: an error that a variable of its own traceback names is garbage that only the
    collector finds, and with it every frame up to whoever catches it, and all that was read there."""
    error = error_of(asked, status, text)
    log.debug("%s", error)
    return _Hiccup(str(error)) if status >= 500 and isinstance(error, NotAvailable) else error


def _asked(verb: str, ref: Ref, subresource: str = "") -> Asked:
    named = f"{verb} {ref}" if ref.name else f"list {ref.kind.plural} in {ref.namespace or 'all namespaces'}"
    resource = f"{ref.kind.plural}.{ref.kind.api_version}"
    return Asked(f"{named}/{subresource}" if subresource else named, resource, verb)


def path_of(kind: Kind, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """The URL path; names are quoted, so that no name can reach another object."""
    root = "/apis" if "/" in kind.api_version else "/api"
    parts = [root, kind.api_version]
    if kind.namespaced and namespace:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(kind.plural)
    parts += [quote(each, safe="") for each in (name, subresource) if each]
    return "/".join(parts)
