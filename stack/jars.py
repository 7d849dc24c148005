"""Java, and the jars of Apache Kafka: fetched once per checkout, then used by every stack of it."""

import os
import re
import shutil
import tempfile
from pathlib import Path

from stack.errors import StackError
from stack.execute import execute

CHECKOUT = Path(__file__).absolute().parents[1]
VERSION = "4.3.1"  # the same as in pom.xml
JARS = CHECKOUT / "build" / f"kafka-{VERSION}"
OLDEST_JAVA = 17


def java() -> str:
    """The path of a Java that can run the broker. Raises StackError if there is none."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if not found:
        where = f"in JAVA_HOME ({home})" if home else "on the PATH"
        raise StackError(f"There is no Java {where}. Install Java {OLDEST_JAVA} or later, {_OR_ELSE}")
    version = _java_version(found)
    if version < OLDEST_JAVA:
        raise StackError(f"{found} is Java {version}. Install Java {OLDEST_JAVA} or later, {_OR_ELSE}")
    return found


def fetched() -> bool:
    return JARS.is_dir()


def fetch() -> None:
    """Put the jars where `classpath` expects them; whole or not at all. Raises StackError."""
    maven = shutil.which("mvn")
    if not maven:
        raise StackError(f"Maven (mvn) is not on the PATH; it fetches Apache Kafka once. Install Maven, {_OR_ELSE}")
    try:
        _copy_jars(maven)
    except OSError as error:
        raise StackError(
            f"Cannot write Apache Kafka to {JARS}: {error.strerror or error}. Free it, {_OR_ELSE}"
        ) from None


def classpath() -> str:
    return f"{JARS}/*"


def _copy_jars(maven: str) -> None:
    JARS.parent.mkdir(exist_ok=True)
    (JARS.parent / ".gitignore").write_text("*\n")
    draft = Path(tempfile.mkdtemp(dir=JARS.parent, prefix="kafka-"))
    try:
        _run_maven(maven, draft)
        draft.chmod(0o755)
        if not fetched():  # another stack may have been quicker
            draft.rename(JARS)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _run_maven(maven: str, into: Path) -> None:
    goal = ("dependency:copy-dependencies", f"-DoutputDirectory={into}")
    done = execute(maven, "-q", "-B", "-f", CHECKOUT / "pom.xml", *goal)
    if done.returncode:
        reason = next(
            (line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line), "it gave no reason"
        )
        raise StackError(
            f"Maven could not fetch Apache Kafka {VERSION}: {reason[:300]}. "
            f"Check the network and Maven's own settings and try again, {_OR_ELSE}"
        )


def _java_version(path: str) -> int:
    try:
        done = execute(path, "-version")
    except OSError as error:
        raise StackError(f"{path} does not run: {error.strerror or error}. Install Java, {_OR_ELSE}") from None
    # Java 8 calls itself 1.8.
    found = re.search(r'version "(?:1\.)?(\d+)', done.stderr + done.stdout)
    return int(found[1]) if found else 0


_OR_ELSE = "or set ELEPHANTASM_KAFKA to the bootstrap servers of an existing Kafka."
