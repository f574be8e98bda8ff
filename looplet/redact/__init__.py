"""Secrets out of text and data, before anything is written.

    redactor = Redactor.of_environment()
    redactor.text("curl -H 'Authorization: Bearer …'")
    redactor.value({"login": {"password": "…"}})

What is taken out: tokens of known shapes, values under names that say so (`password`, `api_key`), and the
values of environment variables whose names do; raw, JSON-escaped, percent-encoded and in base64. What
merely looks random (hashes, uuids, images) stays. Redacting twice changes nothing more.
"""

from looplet.redact.known import known_secrets
from looplet.redact.names import is_secret_header, is_secret_name, is_secret_query
from looplet.redact.redactor import Found, Redactor

__all__ = ["Found", "Redactor", "is_secret_header", "is_secret_name", "is_secret_query", "known_secrets"]
