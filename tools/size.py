"""Checks the size of the deployed zip file against its limit: `size.py BOOTSTRAP`.

AWS Lambda gets a zip file, and a cold start downloads it. PERFORMANCE.md says how choices of dependencies change its size.
"""

import sys
import zlib
from pathlib import Path

# The size limit of the zip file, in bytes.
BUDGET = 3_900_000


def main() -> None:
    binary = Path(sys.argv[1]).read_bytes()
    # The same compression as in a zip file: deflate without a header, at the highest level.
    deflate = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    packed = len(deflate.compress(binary) + deflate.flush())
    print(f"{len(binary):,} bytes, {packed:,} packed; the budget is {BUDGET:,}")
    if BUDGET < packed:
        sys.exit(
            f"{packed - BUDGET:,} bytes over the budget: find out what has grown, or raise the budget in {Path(__file__).name} and"
            " give the reason in the commit message"
        )


if __name__ == "__main__":
    main()
