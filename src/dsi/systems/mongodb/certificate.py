"""A server's certificate, looked at once after its start.

The driver that asks servers on dsi's behalf can't check for whom a certificate is: it connects to a forward or to
loopback. Members and clients do check, and would only say that they can't connect.
"""

import asyncio
import contextlib
import ssl

from dsi.systems.mongodb.tls import ClientTls

_LIMIT_S = 10.0


async def fault(here: tuple[str, int], address: str, tls: ClientTls) -> str | None:
    """Say what is wrong with the certificate of the server that listens `here`; None: nothing is.

    `address` is where members and clients look for it. `tls` has its files on this machine.
    """
    if tls.any_certificate:
        return None
    try:
        context = _context(tls)
        async with asyncio.timeout(_LIMIT_S):
            _, writer = await asyncio.open_connection(*here, ssl=context, server_hostname=address)
    except ssl.SSLCertVerificationError as problem:
        return f"{problem.verify_message.rstrip('.')}{_remedy(problem, address)}"
    except (ssl.SSLError, OSError) as problem:
        return f"no TLS connection: {problem}"
    writer.close()
    with contextlib.suppress(ssl.SSLError, OSError):  # a server that wants a certificate hangs up after the handshake
        await writer.wait_closed()
    return None


def _context(tls: ClientTls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_file)
    context.check_hostname = not tls.any_name
    if tls.certificate_key_file:
        context.load_cert_chain(tls.certificate_key_file, password=tls.password)
    return context


def _remedy(problem: ssl.SSLCertVerificationError, address: str) -> str:
    if "match" in problem.verify_message:
        return (
            f". Its members and clients look for it at {address}: have that in the certificate's names "
            f"(dsi tls-material DIR --name {address} makes one), or set net.tls.allowInvalidHostnames: true"
        )
    return ". Name the CA that has signed it: net.tls.CAFile, or mongodb_setup: {client_tls: {CAFile: PATH}}"
