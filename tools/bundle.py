"""Packs the release bundle for AWS: `bundle.py OUTPUT ARCHITECTURE=BINARY...`, for example
`bundle.py media-expiry-alerts-0.1.0-aws.zip arm64=bootstrap`.

The same files always give the same archive. Nothing in it may name the machine that has built it.
"""

import io
import os
import re
import socket
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The earliest time that a zip file can contain. With real times, each build would give a different archive.
EARLIEST = (1980, 1, 1, 0, 0, 0)
ARCHITECTURES = ("arm64", "x86_64")
DEFAULT_ARCHITECTURE = "arm64"
# Shorter names of machines occur in any program by chance.
MIN_NAME = 6


def version() -> str:
    return tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]


def files(binaries: dict[str, Path]) -> dict[str, bytes]:
    """The files of the bundle by name. `binaries` has the function for each architecture."""
    found = {name: (ROOT / name).read_bytes() for name in ("README.md", "LICENSE-APACHE", "LICENSE-MIT", "CHANGELOG.md")}
    found["VERSION"] = f"{version()}\n".encode()
    found["deploy.sh"] = (ROOT / "tools/deploy.sh").read_bytes()
    found["samconfig.toml"] = (ROOT / "samconfig.toml").read_bytes()
    found["template.yaml"] = template().encode()
    for architecture, binary in binaries.items():
        found[f"function-{architecture}.zip"] = archive({"bootstrap": binary.read_bytes()})
    return found


def template() -> str:
    """The template with the zip file as its code, instead of the sources to build."""
    text = (ROOT / "template.yaml").read_text()
    changed, count = re.subn(
        r"^( +)CodeUri: \.$",
        rf"\1# For x86_64, name the other file and set the parameter Architecture. deploy.sh does both."
        rf"\n\1CodeUri: function-{DEFAULT_ARCHITECTURE}.zip",
        text,
        flags=re.MULTILINE,
    )
    if count != 1:
        sys.exit(f"template.yaml has {count} lines `CodeUri: .` instead of one")
    return changed


def archive(members: dict[str, bytes]) -> bytes:
    """A zip file that depends on nothing but its members."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as written:
        for name, data in sorted(members.items()):
            info = zipfile.ZipInfo(name, EARLIEST)
            # The archive counts as made on Unix, whose permissions are in the upper half.
            info.create_system = 3
            info.external_attr = (0o100755 if name in ("bootstrap", "deploy.sh") else 0o100644) << 16
            # A zip file cannot be compressed further.
            info.compress_type = zipfile.ZIP_STORED if name.endswith(".zip") else zipfile.ZIP_DEFLATED
            written.writestr(info, data, compresslevel=9)
    return content.getvalue()


def names_of_this_machine() -> set[str]:
    """The paths and names that would tell where something was built."""
    names = {f"{ROOT}/", f"{Path.home()}/", os.environ.get("CARGO_HOME", ""), socket.gethostname()}
    return {name for name in names if MIN_NAME <= len(name)}


def leaks(content: bytes, where: str = "") -> list[str]:
    """Names of this machine in a zip file, and in the zip files in it."""
    found = []
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        for name in opened.namelist():
            data = opened.read(name)
            if name.endswith(".zip"):
                found += leaks(data, f"{name}: ")
            else:
                found += [f"{where}{name}: {leak}" for leak in names_of_this_machine() if leak.encode() in data]
    return found


def main() -> None:
    output, *binaries = sys.argv[1:]
    named = dict(binary.split("=", 1) for binary in binaries)
    if not named or not set(named) <= set(ARCHITECTURES):
        sys.exit(f"name a binary for each architecture, like {DEFAULT_ARCHITECTURE}=bootstrap")
    bundle = archive(files({architecture: Path(path) for architecture, path in named.items()}))
    if found := leaks(bundle):
        sys.exit("the bundle names the machine that has built it:\n" + "\n".join(found))
    path = Path(output.replace("VERSION", version()))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bundle)
    print(f"{path}: {len(bundle):,} bytes")


if __name__ == "__main__":
    main()
