r"""The dsisocket's bytes ⇄ messages. Pure: no I/O, no clock. The protocol is described in docs/dsisocket.md.

decoder = Decoder()
for message in decoder.feed(b'{"id": 7, "on_all_hosts": {"exec": "true"}}\n'):
    ...                                   # a Request, or a Malformed
envelope = open_envelope(message.value)   # what stands beside the command, and the command
encode_reply(Outcome(Code.OK))            # b'{"status_code": 0, …}\n'
"""

from dsi.wire.codes import Code, codes_table
from dsi.wire.decoder import MAX_LINE_BYTES, Decoder, Malformed, Message, Request
from dsi.wire.envelope import Envelope, Id, controls_table, insist_on_unicode, keys_table, open_envelope, read_id
from dsi.wire.replies import OK_MESSAGE, Event, Outcome, encode_event, encode_reply, events_table

__all__ = [
    "MAX_LINE_BYTES",
    "OK_MESSAGE",
    "Code",
    "Decoder",
    "Envelope",
    "Event",
    "Id",
    "Malformed",
    "Message",
    "Outcome",
    "Request",
    "codes_table",
    "controls_table",
    "encode_event",
    "encode_reply",
    "events_table",
    "insist_on_unicode",
    "keys_table",
    "open_envelope",
    "read_id",
]
