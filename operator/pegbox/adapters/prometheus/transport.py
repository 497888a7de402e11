"""Transport: one HTTP question to a Prometheus-compatible server, on prometheus-api-client.

The library is used for its session, URL and credentials handling; the request is issued here, in one place,
because its own methods drop warnings, have no timeout by default, follow redirects and read answers of any
size. Not thread-safe (a requests session is not): one Transport per thread.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests
from prometheus_api_client import PrometheusConnect
from urllib3.util.retry import Retry

from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason

LONGEST_GET = 6000
"""Bytes of an encoded query beyond which it goes as a POST form: proxies cut URLs at about 8 KiB."""


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
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    trust_environment: bool = False
    connect_timeout: float = 3.0
    read_timeout: float = 10.0  # also the longest that a whole answer may take
    largest_answer: int = 32 * 1024 * 1024  # bytes

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

    def ask(self, query: str, at: datetime | None) -> Answer | Missing:
        """The instant vector of `query` at `at` (None: the server's now).

        Never raises for what the server or the network does.
        """
        try:
            status, body = self._request(query, at)
        except (requests.RequestException, OSError, ValueError) as error:
            return self._unreachable(_cause(error))
        try:
            document = json.loads(body)
        except ValueError:
            return self._unreachable(f"answered {status} with what is no JSON")
        if not isinstance(document, dict):
            return self._unreachable(f"answered {status}, not as a Prometheus does")
        if status in (400, 422):
            return Missing(Reason.QUERY_INVALID, str(document.get("error", f"status {status}"))[:500])
        if status != 200 or document.get("status") != "success":
            return self._unreachable(f"answered {status}: {str(document.get('error', ''))[:200]}")
        return _answer(document, len(body))

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
        headers = dict(server.headers)
        if server.token_file:
            headers["Authorization"] = f"Bearer {Path(server.token_file).read_text().strip()}"
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
                    raise requests.exceptions.ContentDecodingError(f"more than {server.largest_answer} bytes")
                if time.monotonic() > deadline:
                    raise requests.exceptions.ReadTimeout(f"no whole answer in {server.read_timeout:g} s")
            return response.status_code, bytes(body)

    def _unreachable(self, why: str) -> Missing:
        return Missing(Reason.METRICS_UNREACHABLE, f"{self._server.shown}: {why}"[:500])


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
        return Missing(Reason.QUERY_INVALID, f"the query must give a vector, not {kind}")
    statistics = (data.get("stats") or {}).get("samples") or {}
    warnings = tuple(str(text) for text in document.get("warnings") or ())
    return Answer(tuple(data.get("result") or ()), warnings, size, int(statistics.get("totalQueryableSamples", 0)))
