"""Python's requests and httpx through the proxy. Arguments: one JSON object. Prints `ok NAME` for each thing that works."""

import hashlib
import json
import ssl
import sys

import httpx
import requests

WHERE = json.loads(sys.argv[1])


def ok(name, holds, *why):
    if not holds:
        sys.exit(f"{name}: {why}")
    print("ok", name, flush=True)


def digest(pieces):
    total = hashlib.sha256()
    for piece in pieces:
        total.update(piece)
    return total.hexdigest()


def pieces():
    for n in range(100):
        yield b"piece %d " % n * 50


UPLOAD = sum(len(piece) for piece in pieces())


def checks(library, get, head, post, stream):
    for n in range(20):
        answer = get(WHERE["http"] + f"/keep/{n}")
        ok(f"{library} page {n}", answer.status_code == 200 and "hello from" in answer.text, answer)
    answer = post(WHERE["http"] + "/count", pieces())
    ok(f"{library} chunked upload", answer.status_code == 200 and int(answer.text) == UPLOAD, answer.text)
    answer = post(WHERE["http"] + "/echo", b"hello")
    ok(f"{library} upload with a length", answer.content == b"hello", answer)
    answer = head(WHERE["http"] + "/bytes/1000")
    ok(f"{library} HEAD", answer.status_code == 200 and answer.content == b"", answer)
    ok(f"{library} HEAD says the length", answer.headers["content-length"] == "1000", answer.headers)
    first = get(WHERE["http"] + "/etag")
    answer = get(WHERE["http"] + "/etag", {"If-None-Match": first.headers["etag"]})
    ok(f"{library} 304", answer.status_code == 304 and answer.content == b"", answer)
    ok(f"{library} download", digest(stream(WHERE["http"] + WHERE["download"])) == WHERE["sha256"])
    answer = get(WHERE["refused"])
    ok(f"{library} refusal", answer.status_code == 403 and "Contenus pour adultes" in answer.text, answer)
    answer = get(WHERE["https"] + "/")
    ok(f"{library} https", answer.status_code == 200 and "hello from" in answer.text, answer)
    ok(f"{library} https download", digest(stream(WHERE["https"] + WHERE["download"])) == WHERE["sha256"])


proxies = {"http": WHERE["proxy"], "https": WHERE["proxy"]}
with requests.Session() as session:
    session.trust_env = False
    session.proxies, session.verify = proxies, WHERE["ca"]

    def requests_stream(url):
        with session.get(url, stream=True, timeout=20) as answer:
            yield from answer.iter_content(65536)

    checks(
        "requests",
        lambda url, headers=None: session.get(url, headers=headers, timeout=20),
        lambda url: session.head(url, timeout=20),
        lambda url, body: session.post(url, data=body, timeout=20),
        requests_stream,
    )

context = ssl.create_default_context(cafile=WHERE["ca"])
with httpx.Client(proxy=WHERE["proxy"], verify=context, trust_env=False, timeout=20) as client:

    def httpx_stream(url):
        with client.stream("GET", url) as answer:
            yield from answer.iter_bytes()

    checks(
        "httpx",
        lambda url, headers=None: client.get(url, headers=headers),
        client.head,
        lambda url, body: client.post(url, content=body),
        httpx_stream,
    )
