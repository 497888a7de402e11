"""What the API server's refusals mean in Pegbox's own errors. Pure: a status and a body in, an error out."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from pegbox.model.errors import (
    FieldOwner,
    NotAvailable,
    NotEvicted,
    NotFound,
    NotServed,
    PegboxError,
    Refused,
    WriteConflict,
)

NOT_SERVED = ("404 page not found", "the server could not find the requested resource")
_BUDGET = re.compile(r"The disruption budget (\S+) ")
_SEVERAL = "more than one PodDisruptionBudget"
SEVERAL_REMEDY = "the eviction API serves no pod of two: let one PodDisruptionBudget alone select these pods"
_OWNER = re.compile(r'conflict with "((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, for error texts and for what its status means. `what` names verb and object."""

    what: str
    resource: str
    verb: str


def error_of(asked: Asked, status: int, text: str) -> PegboxError:
    """The error for an answer with a status of 400 and above."""
    body = _status(text)
    message = f"{asked.what}: {str(body.get('message') or text or 'no message').strip()[:500]}"
    if status == 404:
        return _not_found(asked, body, message)
    if status == 409:
        return WriteConflict(message, owners=owners(body))
    if status == 422 and asked.verb == "json_patch" and not body.get("details"):
        # The server says no more than this of a failed `test`, or of a path that is gone.
        return WriteConflict(f"{message}: a test of the patch failed, or its path does not exist (any more)")
    if status == 401:
        return NotAvailable(f"{message}: the credentials were refused: renew the token or the kubeconfig")
    if status == 422 and any(cause.get("field") == "metadata.uid" for cause in _causes(body)):
        return WriteConflict(f"{message}: the object was deleted and recreated under the same name")
    if asked.verb == "evict":
        forbidden = _not_evicted(status, body, message)
        if forbidden is not None:
            return forbidden
    if status >= 500 and "request is too large" in text:
        return Refused(f"{message}: the object is over the server's limit of 1.5 MiB", status=status)
    if status == 500 and "failed to create typed patch object" in text:
        # An apply with a field that the schema does not know, or of the wrong type, is answered by 500.
        return Refused(message, status=status)
    if status in (408, 429) or status >= 500:
        return NotAvailable(f"{message} (status {status}): try again later")
    return Refused(message, status=status)


def _status(text: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _not_found(asked: Asked, body: dict[str, Any], message: str) -> PegboxError:
    """A missing object answers with a Status that names it. A path that is not served answers with plain text, and one
    of a group that is there, in a version that lacks the type, with a Status that names nothing (Kubernetes 1.33).
    """
    if body.get("kind") == "Status" and _details(body).get("name"):
        return NotFound(message)
    said = f"{asked.what}: this server does not serve {asked.resource}: apply its CustomResourceDefinition"
    # The server's own words; what stands between us and it may say 404 for other reasons.
    return NotServed(said) if message.endswith(NOT_SERVED) else NotAvailable(said)


def _not_evicted(status: int, body: dict[str, Any], message: str) -> NotEvicted | None:
    """What keeps a pod from being evicted, if it is that. A server that is overloaded says 429 as well, in plain text
    and without a cause (Kubernetes 1.36, pkg/registry/core/pod/storage/eviction.go; tests/contract/test_evictions.py).
    """
    causes = [cause for cause in _causes(body) if cause.get("reason") == "DisruptionBudget"]
    if status == 429 and causes:
        text = str(causes[0].get("message", ""))[:500]
        named = _BUDGET.match(text)
        return NotEvicted(f"{message} {text}".rstrip(), status=status, budget=named.group(1) if named else "")
    if status == 500 and _SEVERAL in message:
        return NotEvicted(f"{message} {SEVERAL_REMEDY}", status=status, lasting=True)
    about = _details(body)
    if status == 403 and about.get("group") == "policy":  # its controller has not kept up; missing rights name pods
        return NotEvicted(message, status=status, budget=str(about.get("name", "")))
    if status == 429 and "admission webhook" in message and "denied the request" in message:
        return NotEvicted(message, status=status)  # the usual way of webhooks to put a drain off
    return None


def _causes(body: dict[str, Any]) -> list[dict[str, Any]]:
    causes = _details(body).get("causes")
    return [cause for cause in causes if isinstance(cause, dict)] if isinstance(causes, list) else []


def _details(body: dict[str, Any]) -> dict[str, Any]:
    """What stands between us and the server may answer in its place, and in another form."""
    details = body.get("details")
    return details if isinstance(details, dict) else {}


def owners(body: dict[str, Any]) -> tuple[FieldOwner, ...]:
    """The field managers that an apply ran into, from `details.causes` of the Status."""
    found = []
    for cause in _causes(body):
        match = _OWNER.match(str(cause.get("message", "")))
        if cause.get("reason") == "FieldManagerConflict" and match:
            found.append(FieldOwner(match.group(1), str(cause.get("field", ""))))
    return tuple(found)
