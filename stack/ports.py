import errno
import socket

import psutil

from stack.errors import StackError


def require_free(host: str, port: int, variable: str) -> None:
    """Raises StackError naming the port, who has it and the setting that changes it."""
    address = "127.0.0.1" if host == "localhost" else host
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the servers do: a connection of the last run that is still closing is no reason to refuse.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError as error:
            raise StackError(_explain(error, host, port, variable)) from None


def _explain(error: OSError, host: str, port: int, variable: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use{_by_whom(port)}. Free it, or set {variable} to another port."
    if error.errno == errno.EACCES:
        return f"Port {port} needs privileges that this user does not have. Set {variable} to a port above 1023."
    return f"Cannot listen on {host}:{port}: {error.strerror or error}. Set ELEPHANTASM_API_HOST or {variable}."


def _by_whom(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and tuple(connection.laddr)[1:] == (port,)
            if listens and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass  # another user's process: its name is not ours to see
    return ""
