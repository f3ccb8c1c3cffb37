"""nginx's requests: rows of the table, and what those to the XMPP server and to the bridge mean.

A WebSocket's line is written when it ends. A query is left out everywhere: it holds tokens and the channel's password.
"""

import re
from collections.abc import Iterator
from typing import Any

from jitsilab.inputs.logs.patterns import Columns
from jitsilab.inputs.logs.records import Record

_SIGNALING = re.compile(r"/(?:[^?#]*/)?(xmpp-websocket|http-bind)/?$")
_CHANNEL = re.compile(r"/(?:[^?#]*/)?colibri-ws/(?P<server>[^/]+)/(?P<conference>[^/]+)/(?P<participant>[^/?]+)$")
_ADDRESS = re.compile(r"\[?([0-9a-fA-F:.]*[0-9a-fA-F][:.][0-9a-fA-F:.]+)\]?$")
_FIELD = re.compile(r', (client|server|request|upstream|host): (?:"([^"]*)"|([^,\s]+))')
_PROXY = re.compile(r'"(\w+://[^"]+)" \d+ms$')
GOING_AWAY = 499  # nginx: the client closed before an answer


def path_of(target: str) -> str:
    """Path of a request's target: no host, no query, no fragment."""
    target = re.split(r"[?#;]", target, maxsplit=1)[0]
    if "://" in target[:10]:
        target = "/" + target.split("://", 1)[1].partition("/")[2]
    return target[:2000]


def access(record: Record) -> tuple[tuple[Any, ...], Iterator[Columns]]:
    """Row of the table requests (without time and place) and events of a line of the access log."""
    assert record.fields is not None
    before, method, target, status, size, after = record.fields
    client = next((m[1] for word in before.split() if (m := _ADDRESS.match(word.strip(",\"'")))), None)
    upstream = _PROXY.search(after)
    size_n = int(size) if size.isascii() and size.isdigit() and len(size) < 16 else None
    path = path_of(target or "")
    row = (method or None, path, int(status), size_n, client, path_only(upstream[1]) if upstream else None, None)
    return row, _events(path, int(status), size_n, client)


def path_only(url: str) -> str:
    """An upstream without query."""
    return re.split(r"[?#]", url, maxsplit=1)[0][:2000]


def _events(path: str, status: int, size: int | None, client: str | None) -> Iterator[Columns]:
    signaling = _SIGNALING.match(path)
    if signaling:
        if status == 101 and size != 0:
            yield {"event": "signaling-opened", "value": path, "status": status, "participant": client}
        elif status == 101:
            yield {
                "event": "signaling-refused",
                "value": path,
                "status": status,
                "detail": "no-upgrade",
                "participant": client,
            }
        elif status == 200 and signaling[1] == "http-bind":
            yield {"event": "signaling-opened", "value": path, "status": status, "participant": client, "once": True}
        elif status >= 400 and status != GOING_AWAY:
            yield {"event": "signaling-refused", "value": path, "status": status, "participant": client}
        return
    channel = _CHANNEL.match(path)
    if channel:
        columns = {"participant": channel["participant"], "conference": channel["conference"], "status": status}
        if status == 101 and size != 0:
            yield {"event": "channel-opened", **columns}
        elif status == 101:
            yield {"event": "channel-refused", "detail": "no-upgrade", **columns}
        elif status >= 400 and status != GOING_AWAY:
            yield {"event": "channel-refused", **columns}


def error(record: Record) -> tuple[Any, ...] | None:
    """Row of the table requests for a line of the error log that names a request, or a client and an upstream."""
    fields = {name: quoted or bare for name, quoted, bare in _FIELD.findall(record.message)}
    if "request" not in fields and "upstream" not in fields:
        return None
    method, _, rest = fields.get("request", "").partition(" ")
    words = record.message.partition(", client: ")[0]
    return (
        method or None,
        path_of(rest.partition(" ")[0]) if rest else None,
        None,
        None,
        fields.get("client"),
        path_only(fields["upstream"]) if "upstream" in fields else None,
        re.sub(r"\?[^\s\"]*", "", words)[:300],
    )


def request_of(message: str) -> Columns:
    """Participant and conference of the request that a line of the error log names, where it is a bridge channel."""
    fields = {name: quoted or bare for name, quoted, bare in _FIELD.findall(message)}
    rest = fields.get("request", "").partition(" ")[2]
    channel = _CHANNEL.match(path_of(rest.partition(" ")[0])) if rest else None
    if channel:
        return {"participant": channel["participant"], "conference": channel["conference"]}
    return {"participant": fields["client"]} if "client" in fields else {}
