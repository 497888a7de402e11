"""Transport: one HTTP question to a Prometheus-compatible server, on prometheus-api-client.

The library is used for its session, URL and credentials handling; the request is issued here, in one place,
because its own methods drop warnings, have no timeout by default, follow redirects and read answers of any
size. Not thread-safe (a requests session is not): one Transport per thread.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests
from prometheus_api_client import PrometheusConnect
from urllib3.util.retry import Retry

from pegbox.model import errors
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason

LONGEST_GET = 6000
"""Bytes of an encoded query beyond which it goes as a POST form: proxies cut URLs at about 8 KiB."""

LONGEST_TOKEN = 16 * 1024
SHORTEST_SECRET = 4
"""Characters of a header from which on it is hidden in messages: a tenant called "a" would blot out every text."""
MOST_SAMPLES = 10**12
"""No server loads as many for one question: beyond it the figure is no figure."""
_TOKEN = re.compile(rb"[!-~]{1,16384}")


@dataclass(frozen=True, slots=True)
class Server:
    """Where and how to ask. `url` may hold a path prefix (Mimir, VictoriaMetrics); files are read anew.

    `headers` for tenants (X-Scope-OrgID); `params` for what servers want (Thanos: dedup, partial_response).
    `trust_environment` lets proxies, .netrc and CA bundles of the environment count.
    """

    url: str
    token_file: str = ""
    ca_file: str = ""
    insecure: bool = False  # True: the server's certificate is not checked
    client_certificate: tuple[str, str] | None = None  # (certificate file, key file)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, str] = field(default_factory=dict)
    trust_environment: bool = False
    connect_timeout: float = 3.0
    read_timeout: float = 10.0  # also the longest that a whole answer may take
    largest_answer: int = 8 * 1024 * 1024  # bytes; some 40,000 rows, which take about ten times as much memory

    @property
    def shown(self) -> str:
        """The URL without user and password, for messages."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"


@dataclass(frozen=True, slots=True)
class Answer:
    """`samples_read` is what the server says it loaded for it; 0 where it does not say."""

    samples: tuple[Mapping[str, Any], ...]
    warnings: tuple[str, ...]
    size: int  # bytes
    samples_read: int


class _TooLarge(Exception):
    """The server began to answer, and would have gone on for longer than we read."""


class Transport(PrometheusConnect):  # type: ignore[misc]  # the library is untyped
    def __init__(self, server: Server) -> None:
        session = requests.Session()
        session.trust_env = server.trust_environment
        session.verify = False if server.insecure else server.ca_file or True
        session.cert = server.client_certificate
        # Only what cannot have been executed twice, and a gateway's hiccup once. Answers that did not come in
        # time are not asked again: the server is busy with the first.
        retry = Retry(
            total=2,
            connect=1,
            read=0,
            redirect=0,
            status=1,
            other=0,
            allowed_methods={"GET"},
            status_forcelist={502, 503, 504},
            backoff_factor=0.2,
            raise_on_status=False,
            respect_retry_after_header=False,
        )
        super().__init__(url=server.url.rstrip("/"), retry=retry, session=session)
        self._server = server
        self._password = urlsplit(server.url).password or ""
        self._secret: frozenset[str] = frozenset({*server.headers.values(), self._password})

    def ask(self, query: str, at: datetime | None) -> Answer | Missing:
        """The instant vector of `query` at `at` (None: the server's now).

        Never raises for what the server or the network does.
        """
        try:
            status, body = self._request(query, at)
        except _TooLarge as error:
            return self._not_answered(f"{error}: fewer series, or fewer labels of them")
        except (requests.RequestException, OSError, ValueError) as error:
            return self._unreachable(_cause(error))
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            return self._unreachable(f"answered {status} with what is no JSON")
        if not isinstance(document, dict):
            return self._unreachable(f"answered {status}, not as a Prometheus does")
        if status in (400, 422):
            return Missing(Reason.QUERY_INVALID, self._shown(document.get("error", f"status {status}"), 500))
        if document.get("errorType") == "timeout":
            return self._not_answered(f"answered {status}: {self._shown(document.get('error', ''), 200)}")
        if status != 200 or document.get("status") != "success":
            return self._unreachable(f"answered {status}: {self._shown(document.get('error', ''), 200)}")
        answer = _answer(document, len(body))
        if isinstance(answer, Missing):
            return answer
        return replace(answer, warnings=tuple(self._shown(text, 200) for text in answer.warnings))

    def _request(self, query: str, at: datetime | None) -> tuple[int, bytes]:
        server = self._server
        form = {
            **server.params,
            "query": query,
            "timeout": f"{server.read_timeout:g}s",
            "stats": "all",
        }
        if at is not None:
            form["time"] = f"{at.timestamp():.3f}"
        headers = self._headers()
        post = len(urlencode(form)) > LONGEST_GET
        deadline = time.monotonic() + server.read_timeout
        with self._session.request(
            method="POST" if post else "GET",
            url=f"{self.url}/api/v1/query",
            params=None if post else form,
            data=form if post else None,
            headers=headers,
            timeout=(server.connect_timeout, server.read_timeout),
            stream=True,
            allow_redirects=False,
        ) as response:
            body = bytearray()
            for chunk in response.iter_content(64 * 1024):
                body += chunk
                if len(body) > server.largest_answer:
                    raise _TooLarge(f"answered {response.status_code}, with more than {server.largest_answer} bytes")
                if time.monotonic() > deadline:
                    raise requests.exceptions.ReadTimeout(f"no whole answer in {server.read_timeout:g} s")
            return response.status_code, bytes(body)

    def _headers(self) -> dict[str, str]:
        """With the token as the file holds it now. Raises ValueError without what stands there, OSError."""
        headers = dict(self._server.headers)
        if self._server.token_file:
            with Path(self._server.token_file).open("rb") as file:
                raw = file.read(LONGEST_TOKEN + 1).strip()
            if not _TOKEN.fullmatch(raw):
                raise ValueError(f"{self._server.token_file} holds no token: write one line of at most 16 KiB")
            headers["Authorization"] = f"Bearer {raw.decode('ascii')}"
        self._secret = frozenset(
            {self._password, *headers.values(), *(v.removeprefix("Bearer ") for v in headers.values())}
        )
        return headers

    def _shown(self, text: object, limit: int) -> str:
        """Words of the other side, without what we sent to prove who we are: servers and proxies do echo it."""
        shown = text if isinstance(text, str) else errors.shown(text)
        for secret in sorted(self._secret, key=len, reverse=True):
            if len(secret) >= SHORTEST_SECRET:
                shown = shown.replace(secret, "(hidden)")
        return shown[:limit]

    def _unreachable(self, why: str) -> Missing:
        return Missing(Reason.METRICS_UNREACHABLE, self._shown(f"{self._server.shown}: {why}", 500))

    def _not_answered(self, why: str) -> Missing:
        """By a server that is up: it is this one question."""
        return Missing(Reason.QUERY_NOT_ANSWERED, self._shown(f"{self._server.shown}: {why}", 500))


def _cause(error: BaseException) -> str:
    """The innermost reason: requests' own text repeats the whole query."""
    inner = error.args[0] if error.args and isinstance(error.args[0], BaseException) else None
    if inner is None:
        return f"{type(error).__name__}: {error}"
    reason = getattr(inner, "reason", None)
    return _cause(reason if isinstance(reason, BaseException) else inner)


def _answer(document: Mapping[str, Any], size: int) -> Answer | Missing:
    data = document.get("data")
    if not isinstance(data, Mapping) or data.get("resultType") != "vector":
        kind = data.get("resultType") if isinstance(data, Mapping) else None
        return Missing(Reason.QUERY_INVALID, f"the query must give a vector, not {kind!s:.40}")
    result, warnings = data.get("result") or [], document.get("warnings") or []
    if not isinstance(result, list) or not all(map(_is_sample, result)) or not isinstance(warnings, list):
        return Missing(Reason.QUERY_INVALID, "the answer holds what is no sample")
    return Answer(tuple(result), tuple(map(str, warnings)), size, _samples_read(data.get("stats")))


def _is_sample(raw: object) -> bool:
    """Labels are texts; a value is [time, text]. A native histogram has no value, which decoding says."""
    if not isinstance(raw, dict) or not isinstance(raw.get("metric", {}), dict):
        return False
    value = raw.get("value", [0, ""])
    labels_are_texts = all(isinstance(label, str) for label in raw.get("metric", {}).values())
    return labels_are_texts and isinstance(value, list) and len(value) == 2


def _samples_read(raw: object) -> int:
    """What the server says it loaded; 0 where it does not say, or says nonsense."""
    samples = raw.get("samples") if isinstance(raw, Mapping) else None
    total = samples.get("totalQueryableSamples") if isinstance(samples, Mapping) else None
    return total if isinstance(total, int) and 0 <= total <= MOST_SAMPLES else 0
