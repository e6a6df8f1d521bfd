"""The files that a Redis URL names for TLS: whether this process can read and use them."""

import ssl
from collections.abc import Iterator
from pathlib import Path

from .errors import Mistakes
from .redis_url import RedisTarget


def check_redis_url(url: str) -> None:
    """Check the URL of a Redis, and every file that it names.

    Raises:
        ValueError: It is not the URL of a Redis.
        Mistakes: Some files can't be read, or do not hold what they must.

    """
    problems = list(_problems(RedisTarget.parse(url)))
    if problems:
        raise Mistakes(problems)


def _problems(target: RedisTarget) -> Iterator[str]:
    files = {name: str(target.tls_options[name]) for name in _FILES if name in target.tls_options}
    unreadable = {name: problem for name, file in files.items() if (problem := _unreadable(file))}
    yield from (f"option {name}: {problem}" for name, problem in unreadable.items())
    if "ssl_ca_certs" in files.keys() - unreadable.keys():
        try:
            ssl.create_default_context(cafile=files["ssl_ca_certs"])
        except ssl.SSLError:
            yield f"option ssl_ca_certs: file {files['ssl_ca_certs']} holds no certificate in PEM format"
    if "ssl_certfile" in files and not unreadable.keys() & {"ssl_certfile", "ssl_keyfile"}:
        certificate, key = files["ssl_certfile"], files.get("ssl_keyfile")
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password="")
        except ssl.SSLError:
            yield (
                f"option ssl_certfile: file {certificate} and the key in {key or 'it'} do not belong together: both "
                "must be PEM, the key without a password"
            )


_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


def _unreadable(file: str) -> str:
    try:
        with Path(file).open("rb"):
            return ""
    except OSError as error:
        return f"file {file} cannot be read ({error.strerror}): create it for this user"
