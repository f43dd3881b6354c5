"""Blobs of a container whose URI carries its signature, over plain HTTP."""

import requests


def _uri(container_uri, name):
    container, signature = container_uri.split("?", 1)
    return f"{container}/{name}?{signature}"


def write_blob(container_uri, name, text):
    reply = requests.put(
        _uri(container_uri, name),
        data=text.encode("utf-8"),
        headers={"x-ms-blob-type": "BlockBlob"},
        timeout=30,
    )
    reply.raise_for_status()


def read_blob(container_uri, name):
    reply = requests.get(_uri(container_uri, name), timeout=30)
    reply.raise_for_status()
    return reply.content.decode("utf-8")
