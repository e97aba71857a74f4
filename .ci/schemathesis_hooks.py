"""What is refused although the document's schemas allow it, each with why no schema says it.

A failure is dropped only when every text of the answer's `details` has its row here. Anything else is a finding.
"""

import atexit
import collections
import re
import sys
import zlib

import schemathesis
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation import GenerationMode

# Path of the violation, its text, and why JSON Schema does not say it.
BEYOND_SCHEMAS = [
    (r"\.at", r"needs dryRun=true", "parameters of a query cannot depend on each other"),
    (r"\.(selector\.)?endAt", r"must not be before startAt", "values cannot be compared"),
    (r"\.pageToken", r"is not a token of this list", "tokens are signed"),
    (r"\.messageId", r"differs from the header Idempotency-Key", "a body and a header cannot be compared"),
    (r".*\.(identifierValue|platformAddress|number|receiver|contactIdentifierValue)", r"must be an international telephone number.*",
     "which prefixes exist is a table, not a pattern"),
    (r"\.receiver\.contacts\[0\]\.platformAddress", r"must be the recipient's number", "values cannot be compared"),
    (r"\.receiver\.contacts\[0\]\.identifierValue", r"is not the number of the contact that id names", "it is data"),
    (r"\.receiver\.contacts\[0\]\.id", r"is not a contact of this workspace", "it is data"),
    (r"\.(body\.)?replyTo\.id", r"is not a message received in this workspace", "it is data"),
    (r"\.sender\.connector\.identifierValue", r"must be the channel's number.*", "it is data"),
    (r"\.channel", r"the channel is inactive", "it is data"),
    (r".*", r"must be an integer( from 1 to \d+)?", "to a schema 600.0 is an integer, and here it is refused"),
    (r".*", r"must not be longer than \d+ UTF-16 units, has \d+", "schemas count characters"),
    (r".*\.(text|title|label)", r"must not be empty", "U+0085 and marks without width are white space in some dialects of patterns only"),
    (r"\.body\.list\.items\[\d+\]\.title", r"is required where the list's .* is longer than 24 UTF-16 units",
     "lengths of other properties cannot be asked for where items are read"),
    (r"\.body\.list\.items", r"must not hold more than 10 rows in all, holds \d+", "sums cannot be limited"),
    (r".*\.(text|payload)", r"must differ from the others of the message", "only whole items can be unique"),
    (r"\.body\.flow\.flowCta", r"must not hold emoji", "no pattern means blocks beyond U+FFFF in every dialect"),
    (r"\.template\..*", r"is given more than once", "places have several spellings, and stand in two properties"),
    (r"\.template\.(parameters|variables)", r"body placeholders must be numbered from 1 without gaps",
     "keys of items cannot be counted"),
    (r"\.template\..*|\.(body|notification)\..*[uU]rl", r"must be a URL|must not hold white space or control characters",
     "the value of `header.media` is a URL because of the key beside it; a URL has more rules than a pattern"),
    (r".*[uU]rl", r"must not .*host.*|must .*public.*", "which hosts are public is a table"),
    (r"\.scheduledFor", r"must not be more than 35 days ahead", "instants cannot be compared with now"),
    (r"\.body\.replyTo", r"must not be given together with replyTo", "the same place in two properties"),
    (r"\.timeZone", r"must be the IANA name of a time zone.*", "which zones exist is a table"),
    (r"\.windows", r"leave no open minute in a week.*", "closed times cannot be added up"),
    (r"\.windows\[\d+\]\.end", r"must differ from start.*", "values cannot be compared"),
    (r"\.holidays\[\d+\]", r"must be a date as YYYY-MM-DD", "months are of different lengths"),
    (r"\.appliesTo\[\d+\]", r"is named twice", "upper and lower case are one"),
    (r"\.channelId", r"is not a channel of this workspace", "it is data"),
    (r"\.until", r"must be in the future|must not be more than 365 days ahead", "instants cannot be compared with now"),
    (r"\.", r"1000 pauses are open: end some first", "it is data"),
    (r"\.selector\.status(\[\d+\])?", r"\w+ is no status of messages to \w+", "values cannot depend on each other across objects"),
    (r"\.selector", r"looks over too many messages.*", "it is data"),
    (r"\.selector", r"must name at least one of .*", "a property that is null counts as absent"),
    (r"\.", r"100 counts wait to be confirmed.*", "it is data"),
    (r"\.scheduledFor", r"(held by quiet hours until .*, but )?valid only until .*", "it is data"),
    (r"\.capFrequency", r"needs meta\.extraInformation\.useCase to be \"marketing\"", "properties far from each other"),
]


DRY_RUN = "a dry run answers what would become of a request: that it would be refused is what was asked"
DRY_RUNS_ONE_IN = 8

dropped = collections.Counter()
legal = collections.Counter()


def reason(path, text):
    """Why no schema says what a violation says; None where one could."""
    found = (why for place, said, why in BEYOND_SCHEMAS if re.fullmatch(place, path) and re.fullmatch(said, text))
    return next(found, None)


@schemathesis.hook
def map_case(context, case):
    """Makes cases go together that no schema can bind to each other, so that more of them get behind the first check."""
    components = case.meta.components
    is_legal = {place: info.mode is GenerationMode.POSITIVE for place, info in components.items()}
    if "dryRun" in case.query and is_legal.get(ParameterLocation.QUERY):
        # Most cases shall send: a dry run is not refused.
        is_dry = case.query["dryRun"] in (True, "true") and zlib.crc32(repr(case.body).encode()) % DRY_RUNS_ONE_IN == 0
        case.query = {"dryRun": "true"} | case.query if is_dry else {}
    elif "at" in case.query and is_legal.get(ParameterLocation.QUERY):
        case.query = {name: value for name, value in case.query.items() if name != "at"}
    has_key = isinstance(case.body, dict) and case.body.get("messageId") is not None
    if has_key and is_legal.get(ParameterLocation.HEADER):
        case.headers.pop("Idempotency-Key", None)
    return case


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """False for a failure that is none."""
    body = response.json() if "json" in response.headers.get("content-type", [""])[0] else {}
    kind = type(failure).__name__
    whys = [None]
    if kind == "AcceptedNegativeData" and response.status_code == 200:
        whys = [DRY_RUN if body.get("wouldAccept") is False and body.get("violations") else None]
    if kind == "RejectedPositiveData" and response.status_code == 422:
        whys = [reason(path, text) for path, texts in body["details"].items() for text in texts]
    if not all(whys):
        return True
    dropped.update(set(whys))
    return False


@schemathesis.hook
def after_call(context, case, response):
    if case.meta.generation.mode is GenerationMode.POSITIVE:
        legal["accepted" if response.status_code < 300 else response.status_code] += 1


@atexit.register
def tell():
    print(f"legal cases by answer: {dict(legal)}", file=sys.stderr)
    for why, count in dropped.most_common():
        print(f"not a finding, {count} times: {why}", file=sys.stderr)
